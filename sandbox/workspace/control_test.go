package workspace_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"slipway/plan"
	"slipway/sandbox/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every curl line of the sandbox's manual is answered by the sandbox, on real sockets. Lines that need
// the bot or a message's ts are answered with why not.
func TestTheManualsCurlLines(t *testing.T) {
	file, err := plan.LoadFile("../../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w, err := workspace.New(t.Context(), workspace.Options{
		File: file, Scenario: workspace.Scenarios()[0], Listen: "127.0.0.1:0", GCP: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	manual, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^curl -s (?:-X POST )?'?localhost:8190(/_control/[a-z?=-]+)'?(?: -d '(.*)')?$`).FindAllSubmatch(manual, -1)
	if len(lines) < 8 {
		t.Fatalf("only %d curl lines found in the manual", len(lines))
	}
	defer http.DefaultClient.CloseIdleConnections()
	for _, line := range lines {
		path, body := string(line[1]), line[2]
		method := http.MethodGet
		if len(body) > 0 {
			method = http.MethodPost
		}
		request, err := http.NewRequestWithContext(t.Context(), method, w.SlackURL()+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		needsMore := strings.Contains(path, "command") || strings.Contains(path, "click")
		if ok := response.StatusCode == http.StatusOK; ok == needsMore || response.StatusCode == http.StatusNotFound {
			t.Errorf("%s %s %s: %s\n%s", method, path, body, response.Status, answer)
		}
	}
}
