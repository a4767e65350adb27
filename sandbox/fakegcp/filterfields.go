package fakegcp

import (
	"fmt"
	"net/url"
	"strings"
)

// fieldAt returns the field that a path names. A path that no log entry can have is an error, as it is in
// Cloud Logging; one that only this package's entries never have (jsonPayload) is absent.
func fieldAt(path []string, project string) (field, error) {
	name := strings.Join(path, ".")
	switch path[0] {
	case "jsonPayload", "protoPayload", "operation", "sourceLocation", "spanId":
		return textField(name, func(*record) (string, bool) { return "", false }), nil
	case "resource":
		return resourceField(path)
	case "labels":
		if len(path) < 2 {
			break
		}
		key := strings.Join(path[1:], ".")
		return textField(name, func(r *record) (string, bool) { v, ok := r.labels[key]; return v, ok }), nil
	case "httpRequest":
		return requestField(path)
	}
	if len(path) == 1 {
		return entryField(name, project)
	}
	return field{}, fmt.Errorf("unknown field %q", name)
}

func entryField(name, project string) (field, error) {
	switch name {
	case "logName":
		prefix := "projects/" + project + "/logs/"
		return textField(name, func(r *record) (string, bool) { return prefix + url.PathEscape(r.log), true }), nil
	case "insertId":
		return textField(name, func(r *record) (string, bool) { return r.insertID(), true }), nil
	case "textPayload":
		return textField(name, func(r *record) (string, bool) { return r.text, r.request == nil }), nil
	case "trace":
		prefix := "projects/" + project + "/traces/"
		return textField(name, func(r *record) (string, bool) { return fmt.Sprintf("%s%032x", prefix, r.trace), r.trace != 0 }), nil
	case "severity":
		return field{name: name, parse: parseSeverity, number: func(r *record) (int64, bool) { return int64(r.severity), true }}, nil
	case "timestamp":
		return field{name: name, isTime: true, parse: parseTime, number: func(r *record) (int64, bool) { return r.at, true }}, nil
	case "receiveTimestamp":
		return field{name: name, isTime: true, parse: parseTime, number: func(r *record) (int64, bool) { return r.received, true }}, nil
	}
	return field{}, fmt.Errorf("unknown field %q", name)
}

func resourceField(path []string) (field, error) {
	name := strings.Join(path, ".")
	switch {
	case len(path) == 2 && path[1] == "type":
		return textField(name, func(r *record) (string, bool) { return r.source.kind, true }), nil
	case len(path) == 3 && path[1] == "labels":
		key := path[2]
		return textField(name, func(r *record) (string, bool) { v, ok := r.source.labels[key]; return v, ok }), nil
	}
	return field{}, fmt.Errorf("unknown field %q", name)
}

func requestField(path []string) (field, error) {
	name := strings.Join(path, ".")
	text := func(get func(*request) string) field {
		return textField(name, func(r *record) (string, bool) {
			if r.request == nil {
				return "", false
			}
			return get(r.request), true
		})
	}
	number := func(parse func(string) (int64, error), get func(*request) int64) field {
		return field{name: name, parse: parse, number: func(r *record) (int64, bool) {
			if r.request == nil {
				return 0, false
			}
			return get(r.request), true
		}}
	}
	switch name {
	case "httpRequest.status":
		return number(parseNumber, func(r *request) int64 { return int64(r.status) }), nil
	case "httpRequest.latency":
		return number(parseLatency, func(r *request) int64 { return int64(r.latency) }), nil
	case "httpRequest.responseSize":
		return number(parseNumber, func(r *request) int64 { return r.size }), nil
	case "httpRequest.requestMethod":
		return text(func(r *request) string { return r.method }), nil
	case "httpRequest.requestUrl":
		return text(func(r *request) string { return r.url }), nil
	case "httpRequest.userAgent":
		return text(func(r *request) string { return r.agent }), nil
	case "httpRequest.remoteIp":
		return text(func(r *request) string { return r.remote }), nil
	}
	return field{}, fmt.Errorf("unknown field %q", name)
}

func textField(name string, get func(*record) (string, bool)) field {
	return field{name: name, text: get}
}
