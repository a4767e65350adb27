package chart

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The image has the size that it should, is opaque (or it could not be read in dark mode), and is the
// same each time.
func TestPNG(t *testing.T) {
	t.Parallel()
	first, err := PNG(fall())
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size != image.Pt(2400, 1200) {
		t.Errorf("the image is %s", size)
	}
	if opaque, ok := picture.(interface{ Opaque() bool }); !ok || !opaque.Opaque() {
		t.Error("the image is not opaque")
	}
	if corner := color.RGBAModel.Convert(picture.At(0, 0)); corner != (color.RGBA{255, 255, 255, 255}) {
		t.Errorf("the background is %v", corner)
	}
	for _, ink := range []color.Color{vermilion(), blue(), paleBlue()} {
		if !has(picture, ink) {
			t.Errorf("nothing has the colour %v", ink)
		}
	}
	second, err := PNG(fall())
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same graph made two images (%v)", err)
	}
}

func has(picture image.Image, ink color.Color) bool {
	for y := 0; y < picture.Bounds().Max.Y; y += 2 {
		for x := range picture.Bounds().Max.X {
			if color.RGBAModel.Convert(picture.At(x, y)) == ink {
				return true
			}
		}
	}
	return false
}

func TestEmptyGraphs(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]Graph{
		"nothing":          {Title: "nothing"},
		"only a limit":     {Limit: 0.05, Marks: []Mark{{At: noon(), Label: "deploy"}}},
		"a series without": {Series: []Series{{Name: "new"}}},
		"no requests":      {Series: []Series{{Points: []Point{{At: noon()}, {At: noon(), Requests: -1, Errors: 3}}}}},
	} {
		if _, err := PNG(g); !errors.Is(err, ErrEmpty) {
			t.Errorf("%s: got %v", name, err)
		}
		if rows := Text(g, 60, 6); rows != nil {
			t.Errorf("%s: got rows %q", name, rows)
		}
	}
}

// Composing changes nothing of the graph that it is given.
func TestGraphIsLeftAlone(t *testing.T) {
	t.Parallel()
	g := fall()
	g.Series[0].Points[0], g.Series[0].Points[5] = g.Series[0].Points[5], g.Series[0].Points[0]
	g.Series[0].Points[1].Requests = 0
	g.Marks[0], g.Marks[1] = g.Marks[1], g.Marks[0]
	first, mark := g.Series[0].Points[0], g.Marks[0]
	if _, err := compose(g); err != nil {
		t.Fatal(err)
	}
	if g.Series[0].Points[0] != first || g.Series[0].Points[1].Requests != 0 || g.Marks[0] != mark {
		t.Error("the points or marks were sorted in place")
	}
}

// Whatever a graph is, it is composed by the rules and can be drawn, or is empty. The image is a small
// one, since that takes the same steps.
func TestAnyGraph(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := anyGraph(t)
		s, err := compose(g)
		if errors.Is(err, ErrEmpty) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkRules(t, s)
		image, err := s.encodeAt(0.25)
		if err != nil {
			t.Fatal(err)
		}
		if config, err := png.DecodeConfig(bytes.NewReader(image)); err != nil || config.Width != canvasWidth/4 || config.Height != canvasHeight/4 {
			t.Fatalf("the image is %+v, %v", config, err)
		}
		checkRows(t, g)
	})
}

// anyGraph is mostly a sane graph with whatever may be odd about one.
func anyGraph(t *rapid.T) Graph {
	when := rapid.Custom(func(t *rapid.T) time.Time {
		switch rapid.IntRange(0, 19).Draw(t, "kind of time") {
		case 0:
			return time.Time{}
		case 1:
			return time.Unix(rapid.Int64().Draw(t, "any second"), 0)
		}
		return after(time.Duration(rapid.IntRange(0, 7200).Draw(t, "second")) * time.Second)
	})
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9 -]{0,60}`))
	rate := rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64(), rapid.Just(0.0), rapid.SampledFrom([]float64{0.05, 0.001, 1, 1e-300}))
	points := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Point {
		return Point{At: when.Draw(t, "at"), Requests: rapid.Int64Range(-1, 50).Draw(t, "requests"), Errors: rapid.Int64Range(-1, 60).Draw(t, "errors")}
	}), 0, 30)
	g := Graph{Title: text.Draw(t, "title"), Subtitle: text.Draw(t, "subtitle"), Limit: rate.Draw(t, "limit")}
	for range rapid.IntRange(0, 12).Draw(t, "series") {
		g.Series = append(g.Series, Series{
			Name: text.Draw(t, "name"), Kind: Kind(rapid.IntRange(-1, 3).Draw(t, "kind")), Points: points.Draw(t, "points"),
			Gap: time.Duration(rapid.Int64Range(-1, int64(time.Hour)).Draw(t, "gap")),
		})
	}
	for range rapid.IntRange(0, 8).Draw(t, "bands") {
		g.Bands = append(g.Bands, Band{Name: text.Draw(t, "band"), Since: when.Draw(t, "since"), Until: when.Draw(t, "until")})
	}
	for range rapid.IntRange(0, 12).Draw(t, "marks") {
		g.Marks = append(g.Marks, Mark{Label: text.Draw(t, "mark"), At: when.Draw(t, "at")})
	}
	if rapid.Bool().Draw(t, "bound") {
		g.AtMost = &AtMost{Rate: rate.Draw(t, "at most"), Label: text.Draw(t, "label"), Since: when.Draw(t, "since"), Until: when.Draw(t, "until")}
	}
	return g
}

func BenchmarkPNG(b *testing.B) {
	g := fall()
	for b.Loop() {
		if _, err := PNG(g); err != nil {
			b.Fatal(err)
		}
	}
}
