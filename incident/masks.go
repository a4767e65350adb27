package incident

import "strings"

// blank stands in a template where lines differ.
const blank = "<*>"

const (
	mostWords = 48   // of a line that are compared
	mostWord  = 128  // bytes of one of them
	mostLine  = 2048 // bytes that are looked at
)

// words cuts the first line of a text into words, with masks for what differs from one
// occurrence to the next: numbers, hex, UUIDs, addresses, paths and quoted values. Masks
// in front of Drain make its groups better (Zhu et al., Loghub, arXiv 2008.06448).
func words(text string) []string {
	line := firstLine(text)
	line = line[:min(len(line), mostLine)]
	list := make([]string, 0, 16)
	for line != "" && len(list) < mostWords {
		var word string
		word, line = nextWord(line)
		if word != "" {
			list = append(list, word)
		}
	}
	return list
}

func firstLine(text string) string {
	text = strings.TrimLeft(text, " \t\r\n")
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	return strings.TrimRight(text, " \t\r")
}

// nextWord takes the next masked word off a line. Quoted text is one word with whatever
// it is joined to.
func nextWord(line string) (word, rest string) {
	line = strings.TrimLeft(line, " \t")
	var masked strings.Builder
	start := 0
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == ' ' || b == '\t':
			masked.WriteString(maskWord(line[start:i]))
			return masked.String(), line[i+1:]
		case b == '"' || b == '`' || b == '\'' && opens(line, i):
			if end := closing(line, i); end > 0 {
				masked.WriteString(maskWord(line[start:i]))
				masked.WriteString("<quoted>")
				i, start = end, end+1
			}
		}
	}
	masked.WriteString(maskWord(line[start:]))
	return masked.String(), ""
}

// opens tells a quote from an apostrophe: no letter stands before it.
func opens(line string, i int) bool { return i == 0 || !isLetter(line[i-1]) && !isDigit(line[i-1]) }

// closing is where the quote at i ends; 0 when it does not.
func closing(line string, i int) int {
	for j := i + 1; j < len(line); j++ {
		if line[j] == line[i] && (j+1 == len(line) || !isLetter(line[j+1])) {
			return j
		}
	}
	return 0
}

// maskWord masks one word, or what of it stands between brackets and signs.
func maskWord(word string) string {
	if len(word) > mostWord {
		return blank
	}
	if strings.HasPrefix(word, "<") && strings.HasSuffix(word, ">") {
		return blank // whatever it is, it must not pass for a mask of ours
	}
	if !strings.ContainsAny(word, "0123456789/@\\") {
		return word
	}
	core := strings.TrimLeft(word, "([{<=:,;")
	before := word[:len(word)-len(core)]
	core = strings.TrimRight(core, ")]}>,;:.!?")
	after := word[len(before)+len(core):]
	if name, value, ok := strings.Cut(core, "="); ok && name != "" && !strings.ContainsAny(name, "/@") {
		return before + name + "=" + mask(value) + after
	}
	return before + mask(core) + after
}

func mask(s string) string {
	switch {
	case s == "":
		return ""
	case strings.Contains(s, "@") && strings.Contains(s, "."):
		return "<email>"
	case strings.ContainsAny(s, "/\\"):
		return "<path>"
	case isUUID(s):
		return "<uuid>"
	case isAddress(s):
		return "<ip>"
	case isHex(s):
		return "<hex>"
	}
	return maskDigits(s)
}

// maskDigits masks each number in a word, with its sign and its places: took 12.5ms.
func maskDigits(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= '0' && r <= '9' }) < 0 {
		return s
	}
	var masked strings.Builder
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			masked.WriteByte(s[i])
			i++
			continue
		}
		for i < len(s) && (isDigit(s[i]) || (s[i] == '.' || s[i] == ',') && i+1 < len(s) && isDigit(s[i+1])) {
			i++
		}
		masked.WriteString("<n>")
	}
	return masked.String()
}

func isDigit(b byte) bool  { return b >= '0' && b <= '9' }
func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80 || b == '_' }
func isHexDigit(b byte) bool {
	return isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'f'
}

// isHex takes 0x7f… and words of 8 hexadecimal digits and more with a number among them.
func isHex(s string) bool {
	digits, prefixed := strings.CutPrefix(s, "0x")
	number := false
	for i := range len(digits) {
		if !isHexDigit(digits[i]) {
			return false
		}
		number = number || isDigit(digits[i])
	}
	return len(digits) > 0 && (prefixed || len(digits) >= 8 && number)
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHexDigit(s[i]) {
			return false
		}
	}
	return true
}

// isAddress takes IPv4 and IPv6 addresses, with or without a port.
func isAddress(s string) bool {
	dots, colons := strings.Count(s, "."), strings.Count(s, ":")
	for i := range len(s) {
		if !isHexDigit(s[i]) && s[i] != '.' && s[i] != ':' && s[i] != '[' && s[i] != ']' {
			return false
		}
	}
	return dots == 3 && colons <= 1 || colons >= 2 && len(s) > 4
}
