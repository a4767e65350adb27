//go:build services

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screens is where the screenshots go; the README's are made with -screens ../docs.
var screens = flag.String("screens", "", "directory for screenshots; empty: a temporary one")

// A newcomer clicks through the whole story in a browser, with nothing to go by but the page.
func TestBrowserSSOT(t *testing.T) {
	t.Parallel()
	b := open(t, "ssot")
	b.says("#hint", "Type /deploy staging below and press Enter.")
	b.named()
	b.do("type the command", chromedp.SendKeys(chromedp.CSS("#composer-text"), "/deploy staging\n"))
	b.appears("Approve on the card", `#messages [data-action-id="approve"]`)
	b.says("#hint", "switch to @approver")
	b.named()

	b.click("switch to the approver", `#hint a.button.primary`)
	b.appears("the approver's page", `#people a[data-user="approver"][aria-current]`)
	b.says("#hint", "press Approve on the card")
	b.press(`#messages [data-action-id="approve"]`)
	b.says("#messages", "Errors at 10%:")

	b.says("#messages", "Deployed: backend on staging")
	b.says("#messages", "Limit 5%: passed.")
	b.appears("the graph", `#messages img[alt*="passed"]`)
	b.says("#services", "100%")
	b.says("#hint", "That was a whole rollout")
	b.named()
	b.shot("channel.png")
	b.graph("graph.png")

	b.click("open the thread", `#messages a.replies`)
	b.says("#thread-messages", "Approved by @approver")
	b.says("#thread-messages", "Errors at 10%")
	b.shot("thread.png")
	b.click("close the thread", "#thread-close")

	b.click("look at the Home tab", "#open-home")
	b.says("#home", "succeeded")
	b.click("open the form", `#home [data-action-id="deploy"]`)
	b.appears("the form", `#modals dialog[open] [type="submit"]`)
	b.named()
	b.do("fill in nonsense", chromedp.SendKeys(chromedp.CSS(`#modals dialog[open] input[type="text"]`), "no such tag!"))
	b.click("send the form", `#modals dialog[open] [type="submit"]`)
	b.says("#modals .field-error", "neither a tag nor a digest")
	b.click("close the form", `#modals dialog[open] footer [data-close-view]`)
	b.vanishes("the form", `#modals dialog[open]`)
	b.quiet()
}

// The new image is bad, and traffic goes back while nobody does anything; on a phone, in the dark.
func TestBrowserBadDeploy(t *testing.T) {
	t.Parallel()
	b := open(t, "bad-deploy")
	b.do("a phone in the dark", chromedp.EmulateViewport(480, 900, chromedp.EmulateScale(2)))
	b.scheme("dark")
	b.do("type the command", chromedp.SendKeys(chromedp.CSS("#composer-text"), "/deploy staging\n"))
	b.appears("Approve on the card", `#messages [data-action-id="approve"]`)
	b.click("switch to the approver", `#people a[data-user="approver"]`)
	b.appears("the approver's page", `#people a[data-user="approver"][aria-current]`)
	b.press(`#messages [data-action-id="approve"]`)

	b.says("#messages", "Rolled back: backend on staging")
	b.appears("the graph", `#messages img[alt]`)
	b.says("#messages", "replied to a thread:")
	b.narrow()
	b.shot("phone.png")
	b.click("open the thread", "#messages a.replies")
	b.says("#thread-messages", "Approved by @approver")
	b.narrow()
	b.do("on a desk again", chromedp.EmulateViewport(1280, 900))
	b.click("close the thread", "#thread-close")
	b.waits("the thread to close", `!document.querySelector("#thread").checkVisibility()`)
	b.shot("dark.png")
	b.quiet()
}

// A service has failed for some minutes when Slipway starts: whoever is on call sees it with its graph at once, has
// it, and sends the traffic back.
func TestBrowserIncident(t *testing.T) {
	t.Parallel()
	b := open(t, "incident-at-start")
	b.click("switch to whoever is on call", `#people a[data-user="oncall"]`)
	b.appears("the page of whoever is on call", `#people a[data-user="oncall"][aria-current]`)
	b.says("#messages", "% errors since")
	b.says("#messages", "ModuleNotFoundError: No module named 'auth_service'")
	b.appears("the graph", `#messages img[alt^="Errors of backend over time"]`)
	b.appears("the log, which opens beside the page", `#messages a[data-action-id="incident_logs"][href^="https://console.cloud.google.com/logs/"][target="_blank"][rel~="noopener"]`)
	b.says("#hint", "Press Acknowledge")
	b.named()
	b.click("put the hint away", `#hint [data-dismiss]`)
	b.do("a screen for all of it", chromedp.EmulateViewport(1280, 1000))
	b.shot("incident.png")

	b.press(`#messages [data-action-id="incident_acknowledge"]`)
	b.says("#messages", "Acknowledged by @oncall")
	b.press(`#messages [data-action-id="incident_rollback"]`)
	b.says("#messages", "Rolled back: backend on staging to 00041")
	b.click("open the thread", `#messages a.replies`)
	b.says("#thread-messages", "Acknowledged by @oncall")
	b.quiet()
}

// browser is one page in Chromium, on a sandbox of its own.
type browser struct {
	t        *testing.T
	ctx      context.Context
	mu       sync.Mutex
	problems []string
}

// clickTime is how long a person waits for what a click does; a gate takes the longest.
const clickTime = 4 * time.Minute

// open starts a sandbox, as its command line does, and a browser on the address that it prints.
func open(t *testing.T, scenario string) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*clickTime)
	url, ended := start(ctx, t, "-scenario", scenario, "-speed", "5")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-US"))
	allocated, free := chromedp.NewExecAllocator(ctx, options...)
	b := &browser{t: t}
	tab, shut := chromedp.NewContext(allocated, chromedp.WithListener(b.note))
	t.Cleanup(func() {
		shut()
		free()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the sandbox ended with: %v", err)
		}
	})
	b.ctx = tab
	if _, err := chromedp.Call(tab, log.Enable, cdp.Empty{}); err != nil {
		t.Fatalf("start Chromium (apt-get install chromium): %v", err)
	}
	b.scheme("light")
	b.do("open the page", chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url))
	b.appears("the live page", `body[data-live="yes"]`)
	return b
}

// start runs the sandbox until ctx ends, and returns the address that it prints.
func start(ctx context.Context, t *testing.T, flags ...string) (url string, ended <-chan error) {
	t.Helper()
	args := append([]string{"-listen", "127.0.0.1:0", "-gcp", "127.0.0.1:0", "-file", "../deploy.yaml"}, flags...)
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, singleDash(args), write, write)
		_ = write.CloseWithError(errors.Join(err, io.EOF))
		done <- err
	}()
	var line bytes.Buffer
	address := regexp.MustCompile(`http://\S+`)
	for buffer := make([]byte, 512); !address.Match(line.Bytes()) || !bytes.Contains(line.Bytes(), []byte("\n")); {
		n, err := read.Read(buffer)
		line.Write(buffer[:n])
		if err != nil {
			t.Fatalf("the sandbox printed no address: %s (%v)", line.String(), err)
		}
	}
	return address.FindString(line.String()), done
}

// note keeps what the console, the network and uncaught errors have to complain of.
func (b *browser) note(event any) {
	problem := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = fmt.Sprintf("uncaught: %+v", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			problem = fmt.Sprintf("console.%s: %s", e.Type, e.Args[0].Value)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			problem = fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	}
	if problem != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.problems = append(b.problems, problem)
	}
}

// quiet checks that the browser had nothing to complain of.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		b.t.Errorf("the browser complains: %s", problem)
	}
}

func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// waits until a script's expression is true, or fails with what the page says then.
func (b *browser) waits(what, expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(clickTime)))
	if err == nil {
		return
	}
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	b.shot("failed.png")
	b.t.Fatalf("waited in vain for %s (%v); the page says:\n%s", what, err, text)
}

func (b *browser) says(selector, text string) {
	b.t.Helper()
	b.waits(fmt.Sprintf("%q in %s", text, selector), fmt.Sprintf(
		`[...document.querySelectorAll(%q)].some(e => e.textContent.replace(/\s+/g, " ").includes(%q))`, selector, text))
}

func (b *browser) appears(what, selector string) {
	b.t.Helper()
	b.waits(what, fmt.Sprintf(`(e => e !== null && e.checkVisibility())(document.querySelector(%q))`, selector))
}

func (b *browser) vanishes(what, selector string) {
	b.t.Helper()
	b.waits("the end of "+what, fmt.Sprintf(`document.querySelector(%q) === null`, selector))
}

// click clicks with the mouse what is there to be seen.
func (b *browser) click(what, selector string) {
	b.t.Helper()
	b.appears(what, selector)
	b.do(what, chromedp.ScrollIntoView(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// press clicks a button and says yes where it asks whether one is sure.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.click("press "+selector, selector)
	b.waits("the confirm dialog, or the click's end", fmt.Sprintf(`document.querySelector("#confirm[open]") !== null || document.querySelector(%q) === null`, selector))
	b.do("confirm", script(`document.querySelector("#confirm[open] #confirm-yes")?.click()`))
}

// named checks that a screen reader has a name for everything that can be used.
func (b *browser) named() {
	b.t.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		b.t.Fatalf("read the accessibility tree: %v", err)
	}
	usable := regexp.MustCompile(`^"(button|link|textbox|combobox|slider|checkbox|image|dialog|option)"$`)
	count := 0
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil || !usable.Match([]byte(n.Role.Value)) {
			continue
		}
		count++
		if n.Name == nil || len(n.Name.Value) <= len(`""`) {
			b.t.Errorf("a %s has no name", n.Role.Value)
		}
	}
	if count < 5 {
		b.t.Errorf("only %d things can be used on the page", count)
	}
}

// narrow checks that nothing has to be scrolled sideways.
func (b *browser) narrow() {
	b.t.Helper()
	wide, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`[document.documentElement, ...document.querySelectorAll("main, #scroll, #thread-scroll, #messages > li")]
		.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.id || e.tagName)`))
	if err != nil || len(wide) > 0 {
		b.t.Errorf("wider than the screen: %v, %v", wide, err)
	}
}

// shot takes a screenshot.
func (b *browser) shot(name string) {
	b.t.Helper()
	image, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Errorf("screenshot %s: %v", name, err)
		return
	}
	b.save(name, image)
}

// graph saves the picture on the card as Slack was given it.
func (b *browser) graph(name string) {
	b.t.Helper()
	encoded, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(async () => {
		const src = document.querySelector("#messages .bk-image img, #messages img[alt*=passed]").src
		const bytes = new Uint8Array(await (await fetch(src)).arrayBuffer())
		return btoa(Array.from(bytes, b => String.fromCharCode(b)).join(""))
	})()`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("fetch the graph: %v", err)
	}
	image, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !bytes.HasPrefix(image, []byte("\x89PNG")) {
		b.t.Fatalf("the graph is no PNG: %.20q, %v", encoded, err)
	}
	b.save(name, image)
}

func (b *browser) save(name string, image []byte) {
	b.t.Helper()
	dir := *screens
	if dir == "" {
		dir = b.t.TempDir()
	}
	if err := os.WriteFile(filepath.Join(dir, strings.TrimPrefix(name, "/")), image, 0o644); err != nil {
		b.t.Error(err)
	}
}

// scheme makes the browser prefer light or dark pages.
func (b *browser) scheme(name string) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
}

// script runs a statement whose value does not matter.
func script(statement string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Evaluate[bool]("(("+statement+"), true)")(ctx, t)
		return chromedp.Void{}, err
	}
}
