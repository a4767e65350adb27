//go:build services

package slack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakeslack"
)

// The app of the manual is run as a reader would: by Bolt, against the command as it is built, with the settings
// that it prints. It answers its command with the button, and the button with a message that all see.
func TestConformanceOfTheManualsApp(t *testing.T) {
	needNode(t, 20)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // the cleanups need it
	t.Cleanup(cancel)
	url, settings := runFakeslack(ctx, t)
	runApp(ctx, t, manualsApp(t), settings)
	p := people{ctx, t, url}
	p.awaitApp()

	p.act("command", map[string]string{"user": "member", "channel": "general", "command": "/hello"})
	hello := p.message(1)
	if hello.EphemeralTo != "U0MEMBER" || !strings.Contains(string(hello.Blocks), `"Hello!"`) {
		t.Fatalf("/hello is answered with %+v", hello)
	}
	p.act("click", map[string]string{"user": "member", "channel": "general", "ts": hello.TS, "action_id": "wave"})
	waves := p.message(2)
	if waves.Text != "<@U0MEMBER> waves :wave:" || waves.EphemeralTo != "" {
		t.Errorf("the button is answered with %+v", waves)
	}
	t.Log("ok   manual: the app in ten lines of Bolt")
}

// manualsApp is the JavaScript of the manual.
func manualsApp(t *testing.T) string {
	t.Helper()
	manual, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```js\n(.*?)^```$").FindAllSubmatch(manual, -1)
	if len(blocks) != 1 || bytes.Count(blocks[0][1], []byte("\n")) != 10 {
		t.Fatalf("the manual promises ten lines of JavaScript, and has %q", blocks)
	}
	return string(blocks[0][1])
}

// runFakeslack builds the command, runs it until the test ends, and returns its URL and the settings that it
// prints, as NAME=value.
func runFakeslack(ctx context.Context, t *testing.T) (url string, settings []string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "fakeslack")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "../../cmd/fakeslack").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	command := exec.CommandContext(ctx, program, "-listen", "127.0.0.1:0")
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(command.Process.Signal(os.Interrupt), command.Wait()); err != nil {
			t.Errorf("fakeslack does not end as it should: %v", err)
		}
	})
	for lines := bufio.NewScanner(stdout); len(settings) < 3 && lines.Scan(); {
		if strings.Contains(lines.Text(), "=") {
			settings = append(settings, lines.Text())
		} else if words := strings.Fields(lines.Text()); len(words) > 1 {
			url = words[1]
		}
	}
	return url, settings
}

// runApp runs JavaScript with the packages that are installed here, until the test ends.
func runApp(ctx context.Context, t *testing.T, script string, settings []string) {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	node := exec.CommandContext(ctx, "node", "--input-type=module", "--eval", script)
	node.Env = append(node.Environ(), settings...)
	var out bytes.Buffer
	node.Stdout, node.Stderr = &out, &out
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = node.Wait() // it was killed
		if t.Failed() {
			t.Logf("the app said:\n%s", out.String())
		}
	})
}

// people play the users through /_control/.
type people struct {
	ctx context.Context
	t   *testing.T
	url string
}

// awaitApp waits until an app is connected.
func (p people) awaitApp() {
	p.t.Helper()
	var state fakeslack.State
	p.await("the app is not connected", func() bool {
		p.control(http.MethodGet, "state", nil, &state)
		return len(state.Connections) > 0
	})
}

// message waits for the nth message of #general, the ephemeral ones included, and returns it.
func (p people) message(n int) fakeslack.Message {
	p.t.Helper()
	var all []fakeslack.Message
	p.await(fmt.Sprintf("there is no message %d", n), func() bool {
		p.control(http.MethodGet, "messages?channel=general", nil, &all)
		return len(all) >= n
	})
	return all[n-1]
}

func (p people) act(what string, request map[string]string) {
	p.t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		p.t.Fatal(err)
	}
	p.control(http.MethodPost, what, bytes.NewReader(body), &struct{}{})
}

func (p people) control(method, path string, body io.Reader, into any) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.ctx, method, p.url+"/_control/"+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %s: %v", path, response.Status, answer, err)
	}
}

func (p people) await(wrong string, holds func() bool) {
	p.t.Helper()
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-p.ctx.Done():
			p.t.Fatal(wrong)
		}
	}
}
