package blockkit

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestNiceTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      []float64
	}{
		{0, 72, []float64{0, 20, 40, 60, 80}},
		{0, 5, []float64{0, 2, 4, 6}},
		{0, 0, []float64{0, 0.5, 1}},
		{-5, 31, []float64{-10, 0, 10, 20, 30, 40}},
	} {
		if got := niceTicks(tt.low, tt.high); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v to %v: got %v, want %v", tt.low, tt.high, got, tt.want)
		}
	}
	for _, high := range []float64{1e-99, 0.003, 1, 17, 999, 1e99} {
		ticks := niceTicks(0, high)
		if len(ticks) < 3 || len(ticks) > 6 || ticks[0] > 0 || ticks[len(ticks)-1] < high*0.999 {
			t.Errorf("up to %v: %v", high, ticks)
		}
	}
}

func TestSpread(t *testing.T) {
	gone := math.NaN()
	got := spread([]float64{50, 50, gone, 10, 52}, 10, 0, 60)
	if !math.IsNaN(got[2]) {
		t.Errorf("a missing place moved to %v", got[2])
	}
	places := slices.Delete(slices.Clone(got), 2, 3)
	slices.Sort(places)
	if want := []float64{10, 40, 50, 60}; !reflect.DeepEqual(places, want) {
		t.Errorf("got %v, want %v", places, want)
	}
	if got[0] > got[1] || got[1] > got[4] {
		t.Errorf("the order changed: %v", got)
	}
}

func TestChart(t *testing.T) {
	const data = `{"type":"%","series":[{"name":"new","data":[{"label":"a","value":1},{"label":"b","value":2},{"label":"c"}]},
		{"name":"old","data":[{"label":"c","value":7}]}],"axis_config":{"categories":["a","b","c"],"y_label":"errors"}}`
	for name, tt := range map[string]struct {
		chart string
		want  []string
		not   string
	}{
		"line":         {strings.Replace(data, "%", "line", 1), []string{`aria-label="Errors: line chart of errors. new from 1 to –; old from – to 7."`, `<polyline class="bk-line bk-s0"`, ">new</text>", "<td>2</td>"}, "<polygon"},
		"area":         {strings.Replace(data, "%", "area", 1), []string{`<polygon class="bk-area bk-s0"`, `<polygon class="bk-area bk-s1"`}, ""},
		"bar":          {strings.Replace(data, "%", "bar", 1), []string{`<rect class="bk-bar bk-s1"`, `class="bk-legend"`}, "<polyline"},
		"pie":          {`{"type":"pie","segments":[{"label":"ok","value":3},{"label":"bad","value":1}]}`, []string{`class="bk-slice bk-s1"`, ">3 (75%)</text>", "pie chart. ok 3, bad 1."}, "bk-axis"},
		"whole pie":    {`{"type":"pie","segments":[{"label":"ok","value":3}]}`, []string{`<circle class="bk-slice bk-s0"`}, "<path"},
		"empty pie":    {`{"type":"pie","segments":[]}`, []string{`<table class="bk-table">`}, "<svg"},
		"no numbers":   {`{"type":"line","series":[{"name":"a"}],"axis_config":{"categories":["a"]}}`, []string{`<table class="bk-table">`}, "<svg"},
		"unknown kind": {strings.Replace(data, "%", "radar", 1), []string{`<table class="bk-table">`, "<td>7</td>"}, "<svg"},
		"huge":         {`{"type":"line","series":[{"name":"a","data":[{"label":"a","value":1e308},{"label":"b","value":-1e308}]}],"axis_config":{"categories":["a","b"]}}`, []string{`<table class="bk-table">`}, "<svg"},
		"one point":    {`{"type":"line","series":[{"name":"a","data":[{"label":"a","value":1}]}],"axis_config":{"categories":["a"]}}`, []string{"<circle"}, "NaN"},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(testRenderer().Blocks(json.RawMessage(`[{"type":"data_visualization","title":"Errors","chart":` + tt.chart + `}]`)))
			checkHTML(t, got)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("want %s in %s", want, got)
				}
			}
			if tt.not != "" && strings.Contains(got, tt.not) || strings.Contains(got, "Inf") || strings.Contains(got, "NaN") {
				t.Errorf("do not want %s in %s", tt.not, got)
			}
		})
	}
}
