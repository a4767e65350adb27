package incident

import "strings"

// trace is what a traceback of Python, Go, Java or Node says.
type trace struct {
	kind    string // the exception's: ModuleNotFoundError; "panic" in Go
	message string // its first line
	frame   string // the program's own that is nearest to the error, without line numbers; "": none
}

// raised reports whether a text looks like an error that ended something, though nobody
// gave it a severity. It is asked of every plain line and is quick about it.
func raised(text string) bool {
	if strings.Contains(text, "Traceback (most recent call last)") || strings.Contains(text, "panic: ") {
		return true
	}
	if !strings.Contains(text, "Error") && !strings.Contains(text, "Exception") {
		return false
	}
	_, ok := parseTrace(text)
	return ok
}

// parseTrace reads a traceback, or its last line alone. Of errors that were caused by
// others the root is taken: the last one that Java and Python print.
func parseTrace(text string) (trace, bool) {
	var t trace
	python := strings.Contains(text, "Traceback (most recent call last)")
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		indented := line != strings.TrimLeft(line, " \t")
		switch line := strings.TrimLeft(line, " \t"); {
		case strings.HasPrefix(line, "Traceback (most recent call last)"):
			t = trace{}
		case indented || strings.HasPrefix(line, "File \"") || t.isGo() && isGoFunction(line):
			t.addFrame(line, python)
		default:
			t.name(line, python)
		}
	}
	t.frame = strings.TrimPrefix(t.frame, pendingGo)
	return t, t.kind != ""
}

func (t *trace) isGo() bool { return t.kind == goPanic }

const goPanic = "panic"

// name takes a line that names the error. In Python the frames come before it, elsewhere
// after.
func (t *trace) name(line string, python bool) {
	caused := false
	for _, prefix := range []string{"Caused by: ", "Exception in thread \"main\" ", "Uncaught "} {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			line, caused = rest, prefix == "Caused by: "
		}
	}
	if t.kind != "" && !caused && !python {
		return
	}
	if message, ok := strings.CutPrefix(line, "panic: "); ok {
		*t = trace{kind: goPanic, message: message}
		return
	}
	kind, message, _ := strings.Cut(line, ": ")
	if !isException(kind) {
		return
	}
	if caused {
		t.frame = ""
	}
	t.kind, t.message = kind, message
}

// isException tells a class of errors by its name: builtins.KeyError, java.io.IOException,
// TypeError [ERR_INVALID_ARG_TYPE]. Plain "Error" is Node's.
func isException(kind string) bool {
	kind, _, _ = strings.Cut(kind, " [")
	kind = strings.TrimSuffix(kind, ":")
	last := kind[strings.LastIndexByte(kind, '.')+1:]
	if last == "" || len(kind) > mostWord || last[0]|0x20 < 'a' || last[0]|0x20 > 'z' {
		return false
	}
	for i := range len(kind) {
		if b := kind[i]; !isLetter(b) && !isDigit(b) && b != '.' && b != '$' {
			return false
		}
	}
	for _, suffix := range []string{"Error", "Exception", "Interrupt", "SystemExit", "StopIteration", "Warning", "Throwable", "Fault"} {
		if strings.HasSuffix(last, suffix) {
			return last[0] < 'a' || strings.Contains(kind, ".")
		}
	}
	return false
}

// pendingGo marks a frame of Go whose file, which says whether it is the program's own,
// comes on the next line.
const pendingGo = "\x00"

// addFrame takes a line of the stack. The nearest one to the error is Python's last and
// the others' first.
func (t *trace) addFrame(line string, python bool) {
	switch {
	case python:
		if frame := pythonFrame(line); frame != "" {
			t.frame = frame
		}
	case t.kind == "" || t.frame != "" && !strings.HasPrefix(t.frame, pendingGo):
	case t.isGo():
		t.addGoFrame(line)
	case strings.HasPrefix(line, "at "):
		t.frame = ownFrame(line[len("at "):])
	}
}

// pythonFrame reads: File "/app/auth.py", line 12, in login.
func pythonFrame(line string) string {
	file, rest, ok := strings.Cut(strings.TrimPrefix(line, "File \""), "\", line ")
	if !ok || foreign(file, "/site-packages/", "/dist-packages/", "/usr/lib/python", "/usr/local/lib/python", "<frozen ", "<string>") {
		return ""
	}
	_, function, _ := strings.Cut(rest, ", in ")
	return strings.TrimSpace(file + " " + function)
}

// isGoFunction reads: main.(*server).login(0xc000123, {0x1, 0x2}).
func isGoFunction(line string) bool {
	return strings.HasSuffix(line, ")") && strings.Contains(line, "(") && strings.Contains(line, ".") && !strings.Contains(line, " [recovered]")
}

func (t *trace) addGoFrame(line string) {
	function, pending := strings.CutPrefix(t.frame, pendingGo)
	file, _, isFile := strings.Cut(line, ".go:")
	switch {
	case isFile && pending:
		t.frame = function
		if foreign(file, "/usr/local/go/src/", "/pkg/mod/", "/vendor/", "/libexec/src/") {
			t.frame = ""
		}
	case isGoFunction(line):
		t.frame = ""
		if name := line[:strings.LastIndexByte(line, '(')]; name != "panic" && !strings.HasPrefix(name, "runtime.") {
			t.frame = pendingGo + name
		}
	}
}

// ownFrame reads a frame of Java, com.acme.Login.run(Login.java:12), and of Node,
// login (/app/login.js:10:5) or /app/login.js:10:5. "" when it is a library's.
func ownFrame(frame string) string {
	frame = strings.TrimPrefix(strings.TrimPrefix(frame, "async "), "app//")
	if foreign(frame, "node_modules/", "node:", "(internal/", "(native)", "<anonymous>") {
		return ""
	}
	for _, library := range []string{
		"java.", "javax.", "jdk.", "sun.", "com.sun.", "java.base/", "jakarta.", "kotlin.", "scala.", "org.springframework.", "org.apache.", "io.netty.", "io.grpc.",
	} {
		if strings.HasPrefix(frame, library) {
			return ""
		}
	}
	function, place, ok := strings.Cut(frame, " (")
	if !ok { // Java, or Node outside a function
		if call, _, java := strings.Cut(frame, "("); java {
			return call
		}
		return withoutLine(frame)
	}
	return function + " " + withoutLine(strings.TrimSuffix(place, ")"))
}

// withoutLine cuts :10:5 off a place.
func withoutLine(place string) string {
	for range 2 {
		i := strings.LastIndexByte(place, ':')
		if i < 0 || maskDigits(place[i+1:]) != "<n>" {
			break
		}
		place = place[:i]
	}
	return place
}

func foreign(place string, marks ...string) bool {
	for _, mark := range marks {
		if strings.Contains(place, mark) {
			return true
		}
	}
	return false
}

// identifies reports whether what an error quotes is what it is about: the module that is
// missing tells one from another, the user's name in an error of its own does not.
func (t trace) identifies() bool {
	kind := t.kind[strings.LastIndexByte(t.kind, '.')+1:]
	switch kind {
	case "ModuleNotFoundError", "ImportError", "KeyError", "AttributeError", "NameError", "UnboundLocalError",
		"ClassNotFoundException", "NoClassDefFoundError", "NoSuchMethodError", "NoSuchFieldError":
		return true
	}
	return strings.Contains(t.message, "Cannot find module") || strings.Contains(t.message, "Cannot find package")
}
