package chart

import (
	"math/rand/v2"
	"strings"
	"time"
)

// noon is when the examples take place.
func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

func after(d time.Duration) time.Time { return noon().Add(d) }

// draws makes points in slices from a moment on: about so many requests each, failing at the rate.
func draws(seed uint64, from, until, slice time.Duration, requests int64, rate float64) []Point {
	random := rand.New(rand.NewPCG(seed, 1))
	var points []Point
	for at := from; at < until; at += slice {
		p := Point{At: after(at), Requests: requests/2 + random.Int64N(requests+1)}
		for range p.Requests {
			if random.Float64() < rate {
				p.Errors++
			}
		}
		points = append(points, p)
	}
	return points
}

// fall is the release that Slipway is made for.
func fall() Graph {
	return Graph{
		Title:    "backend on staging: 72% → 0.9% errors",
		Subtitle: "Share of failed requests, slices of 5 s, UTC",
		Series: []Series{
			{Name: "old 72%", Kind: Old, Gap: 15 * time.Second, Points: draws(1, 0, 60*time.Second, 5*time.Second, 50, 0.72)},
			{Name: "new 0.9%", Kind: New, Gap: 40 * time.Second, Points: draws(7, 95*time.Second, 235*time.Second, 5*time.Second, 40, 0.009)},
		},
		Limit:  0.05,
		AtMost: &AtMost{Rate: 0.032, Since: after(165 * time.Second), Until: after(235 * time.Second)},
		Bands: []Band{
			{Name: "10%", Since: after(92 * time.Second), Until: after(158 * time.Second)},
			{Name: "100%", Since: after(158 * time.Second), Until: after(238 * time.Second)},
		},
		Marks: []Mark{{At: after(64 * time.Second), Label: "deploy"}, {At: after(238 * time.Second), Label: "passed"}},
	}
}

// rise is a release that was rolled back.
func rise() Graph {
	return Graph{
		Title:    "backend on staging: 0.5% → 30% errors, rolled back",
		Subtitle: "Share of failed requests, slices of 5 s, UTC",
		Series: []Series{
			{Name: "old 0.5%", Kind: Old, Gap: 15 * time.Second, Points: draws(1, 0, 150*time.Second, 5*time.Second, 60, 0.005)},
			{Name: "new 30%", Kind: New, Gap: 15 * time.Second, Points: draws(2, 80*time.Second, 105*time.Second, 5*time.Second, 20, 0.3)},
		},
		Limit: 0.05,
		Bands: []Band{{Name: "10%", Since: after(75 * time.Second), Until: after(108 * time.Second)}},
		Marks: []Mark{{At: after(60 * time.Second), Label: "deploy"}, {At: after(108 * time.Second), Label: "failed, rolled back"}},
	}
}

// quiet has hardly any requests.
func quiet() Graph {
	return Graph{
		Title:    "backend on staging: not enough traffic, 12 of at least 70 requests",
		Subtitle: "Share of failed requests, slices of 1 min, UTC",
		Series: []Series{
			{Name: "new", Kind: New, Gap: 3 * time.Minute, Points: []Point{
				{At: after(time.Minute), Requests: 3}, {At: after(2 * time.Minute), Requests: 2}, {At: after(7 * time.Minute), Requests: 4, Errors: 1},
				{At: after(8 * time.Minute), Requests: 2}, {At: after(14 * time.Minute), Requests: 1},
			}},
		},
		Limit: 0.05,
		Bands: []Band{{Name: "10%", Since: noon(), Until: after(15 * time.Minute)}},
		Marks: []Mark{{At: noon(), Label: "deploy"}, {At: after(15 * time.Minute), Label: "undecided"}},
	}
}

// overview is what /deploy graph shows: an hour with two deploys.
func overview() Graph {
	g := Graph{
		Title:    "staging: the last hour",
		Subtitle: "Share of failed requests, slices of 3 min, UTC",
		Series: []Series{
			{Name: "backend 0.5%", Kind: New, Points: append(draws(3, 0, 24*time.Minute, 3*time.Minute, 300, 0.02), draws(4, 24*time.Minute, time.Hour, 3*time.Minute, 300, 0.005)...)},
			{Name: "auth 1%", Kind: Other, Points: draws(5, 0, time.Hour, 3*time.Minute, 200, 0.01)},
			{Name: "chat 4%", Kind: Other, Points: draws(6, 0, time.Hour, 3*time.Minute, 100, 0.04)},
		},
		Limit: 0.05,
		Marks: []Mark{{At: after(22 * time.Minute), Label: "backend-00042"}, {At: after(25 * time.Minute), Label: "auth-00017"}, {At: after(51 * time.Minute), Label: "backend-00043"}},
	}
	return g
}

// examples are graphs as they occur, and as they had better not.
func examples() map[string]Graph {
	list := map[string]Graph{"fall": fall(), "rise": rise(), "quiet": quiet(), "overview": overview()}

	crowd := fall()
	crowd.Title = strings.Repeat("a title that is far too long ", 12)
	crowd.Subtitle = strings.Repeat("and a subtitle that is, too ", 12)
	for i := range 12 {
		crowd.Marks = append(crowd.Marks, Mark{At: after(time.Duration(100+3*i) * time.Second), Label: "netra-backend-staging-00042-" + strings.Repeat("x", i*9)})
		crowd.Bands = append(crowd.Bands, Band{Name: "a phase with a long name", Since: after(time.Duration(i) * time.Second), Until: after(time.Duration(i+1) * time.Second)})
	}
	crowd.Series[0].Name = strings.Repeat("old and long ", 9)
	list["crowd"] = crowd

	one := Graph{Title: "One point", Series: []Series{{Name: "new", Kind: New, Points: []Point{{At: noon(), Requests: 1, Errors: 1}}}}}
	list["one point"] = one

	var equal Graph
	for _, name := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"} {
		equal.Series = append(equal.Series, Series{Name: name + " 3%", Kind: Other, Points: []Point{{At: noon(), Requests: 100, Errors: 8}, {At: after(time.Minute), Requests: 100, Errors: 3}}})
	}
	equal.Limit, equal.AtMost = 0.03, &AtMost{Rate: 0.03}
	list["equal ends"] = equal

	flat := fall()
	flat.AtMost = nil
	flat.Series = []Series{{Name: "new 0%", Kind: New, Points: draws(1, 0, 4*time.Minute, 5*time.Second, 20, 0)}}
	list["all zero"] = flat
	flat.Limit = 0
	list["all zero, no limit"] = flat

	whole := rise()
	whole.Series[1] = Series{Name: "new 100%", Kind: New, Points: draws(1, 80*time.Second, 150*time.Second, 5*time.Second, 20, 1)}
	list["100%"] = whole
	whole.Limit = 0.001
	list["limit 0.1%"] = whole

	gaps := fall()
	gaps.Series[1].Points = append(gaps.Series[1].Points[:3:3], gaps.Series[1].Points[14:]...)
	gaps.Series[1].Gap = 10 * time.Second
	list["gaps"] = gaps
	return list
}
