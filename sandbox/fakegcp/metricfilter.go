package fakegcp

import (
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
)

// metricFilter is a parsed filter of https://cloud.google.com/monitoring/api/v3/filters, as far as it is
// comparisons that all have to hold.
type metricFilter struct {
	metric string // the one type that it has to name
	terms  []metricTerm
}

type metricTerm struct {
	path  []string // "resource", "labels", "service_name"
	value string
	not   bool
}

func parseMetricFilter(text string) (metricFilter, error) {
	tokens, err := scan(text)
	if err != nil {
		return metricFilter{}, err
	}
	p := &parser{tokens: tokens}
	var out metricFilter
	for p.peek().kind != end {
		term, err := p.metricTerm()
		if err != nil {
			return metricFilter{}, err
		}
		if term.path[0] == "metric" && term.path[1] == "type" && !term.not {
			out.metric = term.value
		}
		out.terms = append(out.terms, term)
		if p.takeIf(word, "AND") && p.peek().kind == end {
			return metricFilter{}, fmt.Errorf("a comparison is missing after AND")
		}
	}
	if out.metric != requestCount && out.metric != requestLatencies {
		return metricFilter{}, fmt.Errorf("it has to name one metric.type, %s or %s", requestCount, requestLatencies)
	}
	return out, nil
}

// metricTerm parses one comparison: metric.type, resource.type or a label of either, = or !=, and a text.
func (p *parser) metricTerm() (metricTerm, error) {
	first := p.take()
	if first.kind != word || isKeyword(first.text) {
		return metricTerm{}, fmt.Errorf("expected a comparison at offset %d, got %q; only those that AND joins are emulated", first.offset, first.text)
	}
	path, err := p.path(first)
	if err != nil {
		return metricTerm{}, err
	}
	if !isMetricPath(path) {
		return metricTerm{}, fmt.Errorf("offset %d: %q is no field of a time series", first.offset, strings.Join(path, "."))
	}
	op, value := p.take(), p.take()
	if op.text != "=" && op.text != "!=" || value.kind != word && value.kind != quoted {
		return metricTerm{}, fmt.Errorf("offset %d: want = or != and a text", op.offset)
	}
	return metricTerm{path: path, value: value.text, not: op.text == "!="}, nil
}

// isMetricPath knows metric.type, resource.type, metric.labels.NAME and resource.labels.NAME, whose middle
// may be written label.
func isMetricPath(path []string) bool {
	if len(path) < 2 || !slices.Contains([]string{"metric", "resource"}, path[0]) {
		return false
	}
	if len(path) == 2 {
		return path[1] == "type"
	}
	return len(path) == 3 && (path[1] == "labels" || path[1] == "label")
}

func (f metricFilter) match(s *monitoringpb.TimeSeries) bool {
	return !slices.ContainsFunc(f.terms, func(t metricTerm) bool { return (t.of(s) == t.value) == t.not })
}

// of is what a series has in the term's field.
func (t metricTerm) of(s *monitoringpb.TimeSeries) string {
	kind, labels := s.GetMetric().GetType(), s.GetMetric().GetLabels()
	if t.path[0] == "resource" {
		kind, labels = s.GetResource().GetType(), s.GetResource().GetLabels()
	}
	if t.path[1] == "type" {
		return kind
	}
	return labels[t.path[2]]
}
