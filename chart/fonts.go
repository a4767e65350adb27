package chart

import (
	"sort"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
)

// letters measures text and cuts it. Sizes and widths are in pixels of the canvas.
type letters struct{ fonts *font.Cache }

func newLetters() letters { return letters{fonts: font.NewCache(liberation.Collection())} }

func (l letters) face(size float64, bold bool) font.Face {
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if bold {
		sans.Weight = xfont.WeightBold
	}
	return l.fonts.Lookup(sans, font.Length(size))
}

func (l letters) width(text string, size float64, bold bool) float64 {
	face := l.face(size, bold)
	return float64(face.Width(text))
}

// cut shortens text to a width, with "…" where something is missing. "" if not even a few letters fit.
func (l letters) cut(text string, width, size float64, bold bool) string {
	if l.width(text, size, bold) <= width {
		return text
	}
	const fewest = 3
	runes := []rune(text)
	n := sort.Search(len(runes), func(n int) bool { return l.width(string(runes[:n+1])+"…", size, bold) > width })
	if n < fewest {
		return ""
	}
	return string(runes[:n]) + "…"
}
