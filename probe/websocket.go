package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"slipway/rollout"
)

// converse opens a WebSocket (RFC 6455), says what the step sends, and listens for the message it
// expects.
func (p *Probes) converse(ctx context.Context, t rollout.Task) rollout.Outcome {
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	spec, v, began := t.Step.WebSocket, newValues(t), time.Now()
	conn, bad := p.open(ctx, t, v)
	if bad != nil {
		return *bad
	}
	// The answer is known by then; how the other side takes the end does not matter.
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(bodyLimit)
	if spec.Send != "" {
		text, err := v.expand(spec.Send, asIs)
		if err != nil {
			return failed("websocket_request", sentence(err), "")
		}
		if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			return failed("websocket_closed", "The WebSocket closed before anything could be sent: "+reason(err)+".", "")
		}
	}
	if bad := listen(ctx, conn, spec.Expect, v); bad != nil {
		return *bad
	}
	return rollout.Outcome{State: rollout.Passed, Note: fmt.Sprintf("Got the expected message in %s.", lasted(time.Since(began)))}
}

// open connects, with the token as a bearer of the handshake.
func (p *Probes) open(ctx context.Context, t rollout.Task, v *values) (*websocket.Conn, *rollout.Outcome) {
	spec, header := t.Step.WebSocket, http.Header{"User-Agent": {agent(t.Key)}}
	target, err := v.expand(spec.URL, asIs)
	if err == nil && spec.Token != nil {
		var token string
		token, err = v.value(*spec.Token, p.Getenv)
		header.Set("Authorization", "Bearer "+token)
	}
	if err != nil {
		bad := failed("websocket_request", sentence(err), "")
		return nil, &bad
	}
	fence, client := newFence(t), *p.HTTP
	if bad := fence.refuse(target); bad != nil {
		return nil, bad
	}
	client.CheckRedirect = fence.follow
	conn, response, err := websocket.Dial(ctx, target, &websocket.DialOptions{HTTPClient: &client, HTTPHeader: header})
	if err == nil {
		return conn, nil
	}
	if bad := refusal(err); bad != nil {
		return nil, bad
	}
	bad := refused(response, err, v)
	return nil, &bad
}

// refused tells a server that answers, but with no WebSocket, from one that does not answer.
func refused(response *http.Response, err error, v *values) rollout.Outcome {
	if response == nil {
		return failed("websocket_unreachable", "No WebSocket: "+v.safe(innermost(err))+".", "")
	}
	detail := ""
	if body, readErr := readBody(response.Body); readErr == nil {
		detail = v.safe(body)
	}
	note := fmt.Sprintf("No WebSocket: the server answered with status %d.", response.StatusCode)
	if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden {
		note = fmt.Sprintf("The server refuses the token (status %d).", response.StatusCode)
	}
	return failed("websocket_refused", note, detail)
}

// listen reads until a message contains expect, and returns nil then.
func listen(ctx context.Context, conn *websocket.Conn, expect string, v *values) *rollout.Outcome {
	last := ""
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			bad := failed("websocket_expect", fmt.Sprintf("No message contains %q: %s.", expect, ending(err)), v.safe(last))
			return &bad
		}
		if last = string(message); strings.Contains(last, expect) {
			return nil
		}
	}
}

// ending says how a conversation ended without the message.
func ending(err error) string {
	var closed websocket.CloseError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("none came within %s", workTime)
	case errors.As(err, &closed):
		return fmt.Sprintf("the server closed with code %d", closed.Code)
	}
	return "the connection broke"
}

// innermost is why a dial failed, without the URL that the errors around it carry.
func innermost(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("nothing answered within %s", workTime)
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
