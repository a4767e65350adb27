package blockkit

import (
	"maps"
	"math"
	"regexp"
	"strconv"
	"testing"
)

var (
	rule     = regexp.MustCompile(`(?s)([^{}]+)\{([^{}]*--text:[^{}]*)\}`)
	variable = regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{6});`)
)

// themes are the colours of the light theme, of the dark one where the system
// wants it, and of the dark one where the reader does.
func themes(t *testing.T) (light, system, dark map[string]string) {
	t.Helper()
	var found []map[string]string
	for _, body := range rule.FindAllStringSubmatch(Stylesheet(), -1) {
		colours := map[string]string{}
		for _, v := range variable.FindAllStringSubmatch(body[2], -1) {
			colours[v[1]] = v[2]
		}
		found = append(found, colours)
	}
	if len(found) != 3 {
		t.Fatalf("%d themes in the stylesheet, want light, dark by system and dark by choice", len(found))
	}
	return found[0], found[1], found[2]
}

func TestThemesAgree(t *testing.T) {
	light, system, dark := themes(t)
	if !maps.Equal(system, dark) {
		t.Errorf("dark differs by who asks for it: %v, %v", system, dark)
	}
	for name := range light {
		if dark[name] == "" {
			t.Errorf("--%s has no dark colour", name)
		}
	}
	for _, name := range []string{"text", "muted", "line", "surface", "raised", "accent", "good", "bad", "warn", "link", "mention-bg", "mention-me-bg", "code-bg"} {
		if light[name] == "" {
			t.Errorf("--%s is missing", name)
		}
	}
}

// https://www.w3.org/TR/WCAG22/#contrast-minimum and #non-text-contrast.
func TestContrast(t *testing.T) {
	light, _, dark := themes(t)
	for _, pair := range []struct {
		front, back string
		least       float64
	}{
		{"text", "surface", 4.5}, {"text", "raised", 4.5}, {"text", "code-bg", 4.5}, {"text", "mention-me-bg", 4.5},
		{"muted", "surface", 4.5}, {"muted", "raised", 4.5}, {"link", "surface", 4.5}, {"link", "raised", 4.5},
		{"good", "surface", 4.5}, {"bad", "surface", 4.5}, {"warn", "surface", 4.5}, {"accent", "surface", 4.5},
		{"good", "raised", 4.5}, {"bad", "raised", 4.5}, {"warn", "raised", 4.5},
		{"code-text", "code-bg", 4.5}, {"mention-text", "mention-bg", 4.5}, {"mention-me-text", "mention-me-bg", 4.5},
		{"primary-text", "primary-bg", 4.5}, {"danger-text", "danger-bg", 4.5},
		{"series-0", "surface", 4.5}, {"series-1", "surface", 4.5}, {"series-2", "surface", 4.5},
		{"series-3", "surface", 4.5}, {"series-4", "surface", 4.5}, {"series-5", "surface", 4.5},
		{"control", "surface", 3},
	} {
		for name, theme := range map[string]map[string]string{"light": light, "dark": dark} {
			if got := contrast(t, theme[pair.front], theme[pair.back]); got < pair.least {
				t.Errorf("%s: --%s on --%s has a contrast of %.2f, want %.1f", name, pair.front, pair.back, got, pair.least)
			}
		}
	}
}

// The control arm: the measure gives what the W3C's definition gives.
func TestContrastIsMeasured(t *testing.T) {
	for pair, want := range map[[2]string]float64{{"#ffffff", "#000000"}: 21, {"#777777", "#ffffff"}: 4.48, {"#123456", "#123456"}: 1} {
		if got := contrast(t, pair[0], pair[1]); math.Abs(got-want) > 0.01 {
			t.Errorf("%v: %.2f, want %.2f", pair, got, want)
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// luminance follows https://www.w3.org/TR/WCAG22/#dfn-relative-luminance.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	if len(colour) != 7 {
		t.Fatalf("%q is no colour", colour)
	}
	total := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			total += weight * c / 12.92
		} else {
			total += weight * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return total
}
