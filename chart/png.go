package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
)

// The canvas, in pixels as a page shows it, and how many pixels of the image make one of them.
const (
	canvasWidth  = 1200
	canvasHeight = 600
	density      = 2
)

// PNG draws a graph as an opaque image of 2400×1200 pixels, to be shown at half that size or less: at
// 480 pixels its smallest letters are still 10 high. The same graph gives the same bytes. ErrEmpty if
// there is nothing to draw.
func PNG(g Graph) ([]byte, error) {
	s, err := compose(g)
	if err != nil {
		return nil, err
	}
	return s.encodeAt(density)
}

// scene is a composed picture: what is drawn, in this order. x goes right and y down from the upper
// left corner.
type scene struct {
	areas  []area
	lines  []line
	dots   []dot
	labels []label
}

// box is an upright rectangle.
type box struct{ left, top, right, bottom float64 }

type point struct{ x, y float64 }

type area struct {
	box
	fill color.Color
}

type line struct {
	points []point
	width  float64
	dashes []vg.Length
	ink    color.Color
}

// dot is a point of a line: round, or square where the line is dashed.
type dot struct {
	point
	radius float64
	square bool
	ink    color.Color
}

// label is one line of text. Its box is what no other label may touch.
type label struct {
	box
	text  string
	start point // of the baseline
	size  float64
	bold  bool
	ink   color.Color
}

// encodeAt draws the scene with so many pixels of the image to one of the canvas.
func (s scene) encodeAt(density float64) ([]byte, error) {
	const pointsPerInch = 72 // vg measures in points; one is a pixel of the canvas
	c := pen{vgimg.NewWith(vgimg.UseWH(canvasWidth, canvasHeight), vgimg.UseDPI(int(pointsPerInch*density)), vgimg.UseBackgroundColor(color.White))}
	for _, a := range s.areas {
		c.fill(a.fill, point{a.left, a.top}, point{a.right, a.top}, point{a.right, a.bottom}, point{a.left, a.bottom})
	}
	for _, l := range s.lines {
		c.stroke(l)
	}
	for _, d := range s.dots {
		c.dot(d)
	}
	letters := newLetters()
	for _, l := range s.labels {
		c.SetColor(l.ink)
		c.FillString(letters.face(l.size, l.bold), at(l.start), l.text)
	}
	var image bytes.Buffer
	if err := png.Encode(&image, c.Image()); err != nil {
		return nil, fmt.Errorf("encode the picture: %w", err)
	}
	return image.Bytes(), nil
}

// pen draws in the scene's coordinates.
type pen struct{ *vgimg.Canvas }

// at turns y around: vg's goes up.
func at(p point) vg.Point { return vg.Point{X: vg.Length(p.x), Y: vg.Length(canvasHeight - p.y)} }

func (c pen) fill(ink color.Color, corners ...point) {
	var path vg.Path
	for i, corner := range corners {
		if i == 0 {
			path.Move(at(corner))
			continue
		}
		path.Line(at(corner))
	}
	path.Close()
	c.SetColor(ink)
	c.Fill(path)
}

func (c pen) stroke(l line) {
	var path vg.Path
	for i, p := range l.points {
		if i == 0 {
			path.Move(at(p))
			continue
		}
		path.Line(at(p))
	}
	c.SetColor(l.ink)
	c.SetLineWidth(vg.Length(l.width))
	c.SetLineDash(slices.Clone(l.dashes), 0)
	c.Stroke(path)
}

func (c pen) dot(d dot) {
	if d.square {
		c.fill(d.ink, point{d.x - d.radius, d.y - d.radius}, point{d.x + d.radius, d.y - d.radius},
			point{d.x + d.radius, d.y + d.radius}, point{d.x - d.radius, d.y + d.radius})
		return
	}
	const circle = 2 * math.Pi
	var path vg.Path
	path.Move(at(point{d.x + d.radius, d.y}))
	path.Arc(at(d.point), vg.Length(d.radius), 0, circle)
	path.Close()
	c.SetColor(d.ink)
	c.Fill(path)
}
