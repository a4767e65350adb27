package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// chain makes the requests of a step one after the other, each with what the earlier ones captured,
// until one is not answered as it should be.
func (p *Probes) chain(ctx context.Context, t rollout.Task) rollout.Outcome {
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	x := exchanger{Probes: p, key: t.Key, v: newValues(t), fence: newFence(t)}
	began := time.Now()
	for i, request := range t.Step.HTTP {
		if bad := x.exchange(ctx, request); bad != nil {
			bad.Note = fmt.Sprintf("Request %d of %d, %s: %s", i+1, len(t.Step.HTTP), title(request, x.v), bad.Note)
			return *bad
		}
	}
	note := fmt.Sprintf("%d requests answered as expected in %s.", len(t.Step.HTTP), lasted(time.Since(began)))
	if len(t.Step.HTTP) == 1 {
		note = fmt.Sprintf("Answered as expected in %s.", lasted(time.Since(began)))
	}
	return rollout.Outcome{State: rollout.Passed, Note: note}
}

// exchanger makes the requests of one chain.
type exchanger struct {
	*Probes
	key   rollout.Key
	v     *values
	fence fence
}

// exchange makes one request and returns nil, or the outcome of a chain that ends here.
func (x exchanger) exchange(ctx context.Context, h plan.HTTP) *rollout.Outcome {
	request, err := x.request(ctx, h)
	if err != nil {
		bad := failed("http_request", err.Error()+".", "")
		return &bad
	}
	if bad := refusal(x.fence.allow(request.URL)); bad != nil {
		return bad
	}
	response, err := x.client(h).Do(request)
	if bad := refusal(err); bad != nil {
		return bad
	}
	if err != nil {
		bad := failed("http_unreachable", "no answer: "+reason(err)+".", "")
		return &bad
	}
	body, err := readBody(response.Body)
	if closeErr := response.Body.Close(); closeErr != nil {
		x.Log.DebugContext(ctx, "closing an answer", "err", closeErr)
	}
	if err != nil {
		bad := failed("http_unreachable", "the answer broke off: "+reason(err)+".", x.v.safe(body))
		return &bad
	}
	return judge(h, response.StatusCode, body, x.v)
}

// judge compares an answer with what it must be. Captures come first, so that a token in the answer
// is known as one when the answer is shown.
func judge(h plan.HTTP, status int, body string, v *values) *rollout.Outcome {
	missing := capture(h.Capture, body, v)
	var bad rollout.Outcome
	switch {
	case status != h.Status:
		bad = failed("http_status", fmt.Sprintf("expected status %d, got %d.", h.Status, status), v.safe(body))
	case !strings.Contains(body, h.Expect):
		bad = failed("http_expect", fmt.Sprintf("the answer does not contain %q.", h.Expect), v.safe(body))
	case missing != "":
		bad = failed("http_capture", fmt.Sprintf("the answer has no value at %q.", missing), v.safe(body))
	default:
		return nil
	}
	return &bad
}

// capture takes the values at dotted paths out of a JSON answer and returns the first path that has
// none, or "".
func capture(paths map[string]string, body string, v *values) (missing string) {
	if len(paths) == 0 {
		return ""
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		document = nil
	}
	for name, path := range paths {
		value, ok := at(document, path)
		if !ok {
			if missing == "" || path < missing {
				missing = path
			}
			continue
		}
		v.capture(name, value)
	}
	return missing
}

// at returns the text, number or truth value at a dotted path such as "user.roles.0".
func at(document any, path string) (string, bool) {
	for key := range strings.SplitSeq(path, ".") {
		switch node := document.(type) {
		case map[string]any:
			document = node[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(node) {
				return "", false
			}
			document = node[i]
		default:
			return "", false
		}
	}
	switch leaf := document.(type) {
	case string:
		return leaf, true
	case json.Number:
		return leaf.String(), true
	case bool:
		return fmt.Sprint(leaf), true
	}
	return "", false
}

// request builds one request, with everything filled in.
func (x exchanger) request(ctx context.Context, h plan.HTTP) (*http.Request, error) {
	target, err := x.v.expand(h.URL, escapeURL)
	if err != nil {
		return nil, err
	}
	body, err := requestBody(h, x.v)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, h.Method, target, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("the method or URL is malformed; correct it in deploy.yaml")
	}
	request.Header.Set("User-Agent", agent(x.key))
	if h.JSON != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, from := range h.Headers {
		value, err := x.v.value(from, x.Getenv)
		if err != nil {
			return nil, err
		}
		request.Header.Set(name, value)
	}
	return request, nil
}

func requestBody(h plan.HTTP, v *values) (string, error) {
	if h.JSON != "" {
		return v.expand(h.JSON, escapeJSON)
	}
	return v.expand(h.Body, asIs)
}

// escapeURL makes a value fit for a path or a query.
func escapeURL(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// escapeJSON makes a value fit for the inside of a JSON string.
func escapeJSON(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// client follows redirects to allowed hosts, unless the redirect itself is what is expected.
func (x exchanger) client(h plan.HTTP) *http.Client {
	client := *x.HTTP
	client.CheckRedirect = x.fence.follow
	if h.Status >= 300 && h.Status <= 399 {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &client
}

// bodyLimit is how many bytes of an answer are read.
const bodyLimit = 1 << 20

func readBody(body io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(body, bodyLimit))
	return string(data), err
}

// agent is the User-Agent of an attempt's requests; gates do not count them.
func agent(key rollout.Key) string { return fmt.Sprintf("%s/1 (+%s)", rollout.ProbeAgent, key) }

// title names a request for people: by its name, or by method and path with the ${…} of earlier
// answers left as they are, for a token may be among them.
func title(h plan.HTTP, v *values) string {
	if h.Name != "" {
		return h.Name
	}
	shown, err := plan.Expand(h.URL, func(name string) (string, bool) {
		if value, ok := v.services(name); ok {
			return value, true
		}
		return "{" + name + "}", true
	})
	if parsed, parseErr := url.Parse(shown); err == nil && parseErr == nil {
		shown = parsed.Path
	}
	return h.Method + " " + shown
}

// reason is why a request failed, without its URL, which may hold a token.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("nothing came within %s", workTime)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}
