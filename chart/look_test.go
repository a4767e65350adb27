package chart

import (
	"bytes"
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/draw"
)

// With -charts=DIR the examples are written there, whole and at the width of Slack's preview, for
// somebody to look at.
var charts = flag.String("charts", "", "write the examples' pictures to this directory")

// Each example can be drawn: at a quarter of the size, unless somebody wants to look.
func TestExamplesAreDrawn(t *testing.T) {
	t.Parallel()
	for name, g := range examples() {
		s, err := compose(g)
		if err != nil {
			t.Fatal(err)
		}
		scale := density / 4.0
		if *charts != "" {
			scale = density
		}
		raw, err := s.encodeAt(scale)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := picture.Bounds().Dx(), int(canvasWidth*scale); got != want {
			t.Errorf("%s: %d pixels wide, want %d", name, got, want)
		}
		if *charts != "" {
			name = strings.NewReplacer(" ", "-", ",", "", "%", "").Replace(name)
			write(t, name+".png", raw)
			write(t, name+"-480.png", preview(t, picture))
		}
	}
}

func write(t *testing.T, name string, image []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(*charts, name), image, 0o600); err != nil {
		t.Fatal(err)
	}
}

func preview(t *testing.T, large image.Image) []byte {
	t.Helper()
	small := image.NewRGBA(image.Rect(0, 0, 480, 240))
	draw.CatmullRom.Scale(small, small.Bounds(), large, large.Bounds(), draw.Src, nil)
	var b bytes.Buffer
	if err := png.Encode(&b, small); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
