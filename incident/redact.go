package incident

import (
	"regexp"
	"strings"
)

// masked are secrets and personal data by what they look like, and what is shown instead.
// The order matters: what is found first is no longer there for the next.
var masked = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`), "<private key>"},
	{regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@'"<>]+@`), "${1}<secret>@"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?`), "<token>"},
	{regexp.MustCompile(`\b(?:gh[pousr]_|github_pat_|xox[abeprs]-|xapp-|sk-|sk_live_|rk_live_|glpat-|ya29\.|AIza|AKIA|ASIA|npm_|hf_|SG\.)[A-Za-z0-9_.-]{8,}`), "<token>"},
	{regexp.MustCompile(`(?i)\b(bearer|basic|digest)\s+[A-Za-z0-9._~+/=-]{4,}`), "${1} <token>"},
	{regexp.MustCompile(`(?i)((?:set-)?cookie["']?\s*[:=]\s*["']?)[^"'\r\n]+`), "${1}<secret>"},
	{regexp.MustCompile(`(?i)(authorization["']?\s*[:=]\s*["']?)(?:[^\s"',;<][^\s"',;]*)`), "${1}<secret>"},
	{regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret|credentials?|signature|session(?:[_-]?id)?|otp)["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s"',;&)}\]<]+)`), "${1}<secret>"},
	{regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`), "<email>"},
	{regexp.MustCompile(`\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b`), "<iban>"},
	{regexp.MustCompile(`\b[A-Fa-f0-9]{32,}\b`), "<hex>"},
}

// cardLike is 13 to 19 digits, maybe in groups: whether they can be a card's, their check
// digit says.
var cardLike = regexp.MustCompile(`\b\d(?:[ -]?\d){12,18}\b`)

// Redact masks what may be a secret or personal data in a text that is shown: tokens,
// passwords, headers that authorise, the user of a URL, e-mail addresses, and numbers of
// cards and accounts. It goes by looks, and so it can miss what looks like nothing.
func Redact(text string) string {
	for _, m := range masked {
		text = m.pattern.ReplaceAllString(text, m.with)
	}
	return cardLike.ReplaceAllStringFunc(text, func(number string) string {
		if isCard(number) {
			return "<card>"
		}
		return number
	})
}

// isCard checks the sum of a number's digits (ISO/IEC 7812-1, annex B, Luhn's formula).
func isCard(number string) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		if !isDigit(number[i]) {
			continue
		}
		digit := int(number[i] - '0')
		if double {
			if digit *= 2; digit > 9 {
				digit -= 9
			}
		}
		sum, double = sum+digit, !double
	}
	return sum%10 == 0
}

const mostExample = 2000 // bytes

// example is a text as it is kept: masked, and not longer than anybody reads. It is cut
// twice, so that no half of a secret at the first end escapes its mask.
func example(text string) string {
	return cut(Redact(cut(strings.TrimSpace(text), 2*mostExample)), mostExample)
}

// cut shortens a text, between two characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}
