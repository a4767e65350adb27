package crash

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Call is one call of a replica to the world.
type Call struct {
	Name   string // "redis commit", "slack chat.update", "cloud RunJob"
	Nth    int    // of those with the name, from 1
	Effect bool   // it changes something
	At     time.Time
	Poll   bool // it looks for work: it counts only if there is some
	Found  bool // a poll that found work
}

// talk tells calls from each other in what passes over a connection.
type talk interface {
	// written takes what the replica writes, and returns what of it can be sent: whole calls.
	written(p []byte) (whole []byte, calls []*Call)
	// read takes a piece of an answer and returns the call whose answer begins with it.
	read(p []byte) *Call
}

func cloudCall(method string) *Call {
	change := strings.HasPrefix(method, "Update") || method == "RunJob" || method == "CancelExecution"
	return &Call{Name: "cloud " + method, Effect: change}
}

// webTalk is HTTP/1.1: a request, then its answer. After an upgrade nothing is told apart any more.
type webTalk struct {
	mu       sync.Mutex
	open     *Call // whose answer has not begun
	upgraded bool
}

func (w *webTalk) written(p []byte) ([]byte, []*Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.upgraded || w.open != nil {
		return p, nil
	}
	w.open = webCall(p)
	return p, []*Call{w.open}
}

func (w *webTalk) read([]byte) *Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	call := w.open
	w.open = nil
	w.upgraded = w.upgraded || call != nil && strings.HasPrefix(call.Name, "slack link")
	return call
}

// webCall names a request by its first line.
func webCall(p []byte) *Call {
	line, _, _ := bytes.Cut(p, []byte("\r\n"))
	method, rest, _ := strings.Cut(string(line), " ")
	target, _, _ := strings.Cut(rest, " ")
	target, _, _ = strings.Cut(target, "?")
	if name, ok := strings.CutPrefix(target, "/api/"); ok && name != "chat" {
		return &Call{Name: "slack " + name, Effect: changesSlack(name)}
	}
	for _, place := range []string{"link", "upload", "files", "response"} {
		if target == "/"+place || strings.HasPrefix(target, "/"+place+"/") {
			return &Call{Name: "slack " + place, Effect: place == "upload" || place == "response"}
		}
	}
	if at := strings.Index(target, "sha256:"); at >= 0 {
		target = target[:at] + "digest" // it differs from one world to the next
	}
	return &Call{Name: "web " + method + " " + target, Effect: method == "POST"}
}

func changesSlack(method string) bool {
	return slices.ContainsFunc([]string{"chat.", "files.complete", "files.getUpload", "views.", "apps.connections"}, func(prefix string) bool {
		return strings.HasPrefix(method, prefix)
	})
}

// redisTalk is RESP (https://redis.io/docs/latest/develop/reference/protocol-spec). Only scripts
// count: what other commands do is read.
type redisTalk struct {
	scripts map[string]string
	mu      sync.Mutex
	part    []byte // of a command that is not whole yet
	open    *Call
}

// looks tells the scripts that change nothing, or only how long a lease lasts.
func looks(script string) bool {
	switch script {
	case "holder", "locks", "snapshots", "renew", "hold_watch":
		return true
	}
	return false
}

// polls tells the scripts that look for work. One that finds none changes nothing, so that a crash before
// it, behind it and at the next one are the same crash.
func polls(script string) bool {
	switch script {
	case "claim", "take", "claim_card", "claim_turn":
		return true
	}
	return false
}

func (r *redisTalk) written(p []byte) ([]byte, []*Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.part = append(r.part, p...)
	var calls []*Call
	size := 0
	for {
		words, length := command(r.part[size:])
		if length == 0 {
			break
		}
		size += length
		if call := r.call(words); call != nil {
			calls = append(calls, call)
			r.open = call
		}
	}
	whole := slices.Clone(r.part[:size])
	r.part = slices.Delete(r.part, 0, size)
	return whole, calls
}

// call is what a command counts as; nil if it does not.
func (r *redisTalk) call(words []string) *Call {
	if len(words) < 2 {
		return nil
	}
	sha := strings.ToLower(words[1])
	switch strings.ToLower(words[0]) {
	case "evalsha":
	case "eval":
		sha = Digest(words[1])
	default:
		return nil
	}
	name := r.scripts[sha]
	if name == "" || looks(name) {
		return nil
	}
	return &Call{Name: "redis " + name, Effect: true, Poll: polls(name)}
}

// read looks whether a poll found something, and passes over a script that Redis does not know yet.
func (r *redisTalk) read(p []byte) *Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	call := r.open
	r.open = nil
	if call != nil {
		call.Found = !bytes.Contains(p[:min(len(p), 40)], []byte("\r\nnone\r\n")) && p[0] != '-'
	}
	return call
}

// Digest is how Redis names a script.
func Digest(script string) string {
	sum := sha1.Sum([]byte(script)) //nolint:gosec // not for security
	return hex.EncodeToString(sum[:])
}

// command reads the first command of a buffer, an array of bulk strings. Its length is 0 if it is not whole.
func command(p []byte) (words []string, length int) {
	count, at := number(p, 0, '*')
	for range count {
		size, next := number(p, at, '$')
		if next == 0 || next+size+2 > len(p) {
			return nil, 0
		}
		words = append(words, string(p[next:next+size]))
		at = next + size + 2
	}
	return words, at
}

// number reads a line such as "*3" and returns where the next one begins; 0 if the line is not whole.
func number(p []byte, at int, mark byte) (n, next int) {
	end := bytes.Index(p[min(at, len(p)):], []byte("\r\n"))
	if end < 1 || p[at] != mark {
		return 0, 0
	}
	n, err := strconv.Atoi(string(p[at+1 : at+end]))
	if err != nil {
		return 0, 0
	}
	return n, at + end + 2
}
