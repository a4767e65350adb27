package page

import (
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"slipway/sandbox/blockkit"
	"slipway/sandbox/fakeslack"
)

// painter renders templates and keeps the first error.
type painter struct {
	templates *template.Template
	err       error
}

func (pt *painter) paint(name string, data any) string {
	var out strings.Builder
	if err := pt.templates.ExecuteTemplate(&out, name, data); err != nil && pt.err == nil {
		pt.err = err
	}
	return strings.TrimSpace(out.String())
}

// paint renders all that can change at a place, as it is now.
func (p *Page) paint(where place) (picture, error) {
	v := p.viewer(where)
	pt := &painter{templates: p.templates}
	pic := picture{html: map[string]string{}, lists: map[string][]string{}}
	pic.html["place"] = pt.paint("place", p.frame(v))
	pic.html["people"] = pt.paint("people", p.people(v))
	pic.html["channels"] = pt.paint("channels", p.channels(v))
	pic.html["main-head"] = pt.paint("main-head", p.frame(v))
	pic.html["composer-text"] = pt.paint("composer-text", p.frame(v))
	pic.html["intro"] = pt.paint("intro", p.intro(v))
	pic.html["hint"] = pt.paint("hint", p.hint(v))
	pic.html["home"] = pt.paint("home", p.home(v))
	pic.html["modals"] = pt.paint("modals", p.modals(v))
	p.paintMessages(pt, &pic, v)
	p.paintThread(pt, &pic, v)
	p.paintPanel(pt, &pic)
	return pic, pt.err
}

func (p *Page) viewer(where place) viewer {
	state := p.cfg.Slack.State()
	return viewer{place: where, kit: renderer(state, where), state: state, all: p.messages(where), now: time.Now()}
}

// renderer shows IDs as the user knows them.
func renderer(state fakeslack.State, where place) blockkit.Renderer {
	names := map[string]blockkit.Name{state.Bot.ID: {Text: "@" + state.Bot.RealName}}
	for _, u := range state.Users {
		names[u.ID] = blockkit.Name{Text: "@" + u.Name, Me: u.ID == where.User.ID}
	}
	for _, g := range state.Groups {
		names[g.ID] = blockkit.Name{Text: "@" + g.Handle, Me: slices.Contains(g.Members, where.User.ID)}
	}
	for _, c := range state.Channels {
		names[c.ID] = blockkit.Name{Text: "#" + c.Name, URL: where.withChannel(c).path()}
	}
	return blockkit.Renderer{
		Names: func(id string) (blockkit.Name, bool) { n, ok := names[id]; return n, ok },
		File:  func(name string) (string, bool) { return "/page/file/" + fileID(name), true },
	}
}

// fileID takes the ID from an ID or a url_private.
func fileID(name string) string {
	if _, path, ok := strings.Cut(name, "/files/"); ok {
		name, _, _ = strings.Cut(path, "/")
	}
	return name
}

func (p *Page) paintMessages(pt *painter, pic *picture, v viewer) {
	pic.lists["messages"] = []string{}
	if v.Home {
		return
	}
	var above *fakeslack.Message
	for i, m := range v.all {
		if m.ThreadTS != "" && !m.Broadcast {
			continue
		}
		it := v.item(m, above)
		pic.html[it.ID] = pt.paint("message", it)
		pic.lists["messages"] = append(pic.lists["messages"], it.ID)
		above = &v.all[i]
	}
}

// paintThread renders the thread that is open, if its message is there.
func (p *Page) paintThread(pt *painter, pic *picture, v viewer) {
	v.inside = true
	pic.lists["thread-messages"] = []string{}
	pic.html["thread-head"] = pt.paint("thread-head", p.frame(v))
	pic.html["thread-text"] = pt.paint("thread-text", p.frame(v))
	if v.Thread == "" {
		return
	}
	var above *fakeslack.Message
	for i, m := range v.all {
		if m.TS != v.Thread && m.ThreadTS != v.Thread {
			continue
		}
		it := v.item(m, above)
		it.Day = ""
		if above == nil && m.TS != v.Thread {
			it.Day = repliesOf(v.all, v.Thread)
		}
		pic.html[it.ID] = pt.paint("message", it)
		pic.lists["thread-messages"] = append(pic.lists["thread-messages"], it.ID)
		if above = &v.all[i]; m.TS == v.Thread {
			above = nil // replies stand apart from what they reply to
		}
	}
}

// frame is what stands around the messages.
type frame struct {
	place
	About                                              string
	Title, Placeholder, ThreadPlaceholder, CloseThread string
	Members                                            int
}

func (p *Page) frame(v viewer) frame {
	f := frame{
		place: v.place, Title: "#" + v.Channel.Name, CloseThread: v.withThread("").path(), Members: len(v.Channel.Members),
		Placeholder:       "Message #" + v.Channel.Name + ", or / for a command",
		ThreadPlaceholder: "Reply, or @" + v.state.Bot.Name + " for a command",
	}
	if f.Members == 0 {
		f.Members = len(v.state.Users) + 1
	}
	if v.Home {
		f.Title = v.state.Bot.RealName
	}
	return f
}

// intro is what stands above the first message.
func (p *Page) intro(v viewer) frame {
	f := p.frame(v)
	if env := p.env(); env != nil && v.Channel.Name == env.Channel {
		f.About = p.cfg.About
	}
	return f
}

// link is one of several of which one is current.
type link struct {
	Name, Initial, URL string
	Brief, Says        string
	Current, On        bool
	user               fakeslack.User
}

func (p *Page) people(v viewer) []link {
	var out []link
	for _, u := range v.state.Users {
		brief, says := p.may(v.state, u)
		out = append(out, link{
			Name: u.Name, Initial: initial(u.Name), URL: v.withUser(u).path(), Brief: brief, Says: says, Current: u.ID == v.User.ID,
		})
	}
	return out
}

type sidebar struct {
	Team     string
	Channels []link
	Home     link
}

func (p *Page) channels(v viewer) sidebar {
	home := v.place
	home.Home = true
	out := sidebar{Team: v.state.Team.Name, Home: link{
		Name: v.state.Bot.RealName, Initial: initial(v.state.Bot.RealName), URL: home.path(), Current: v.Home,
		On: len(v.state.Connections) > 0, Says: "no app is connected",
	}}
	if out.Home.On {
		out.Home.Says = "connected"
	}
	for _, c := range v.state.Channels {
		out.Channels = append(out.Channels, link{Name: c.Name, URL: v.withChannel(c).path(), Current: !v.Home && c.ID == v.Channel.ID})
	}
	return out
}

// whole is the page as it is first served; the stream keeps it up to date.
type whole struct {
	Theme string
	Team  string
	Title string
	Cloud bool
	html  map[string]string
	lists map[string][]string
}

// Part is the element with the ID.
func (w whole) Part(id string) template.HTML {
	return template.HTML(w.html[id]) //nolint:gosec // G203: html/template made it
}

// List is the elements of the list with the ID.
func (w whole) List(id string) template.HTML {
	var out strings.Builder
	for _, part := range w.lists[id] {
		out.WriteString(w.html[part] + "\n")
	}
	return template.HTML(out.String()) //nolint:gosec // G203: html/template made it
}

func (p *Page) serveWhole(w http.ResponseWriter, r *http.Request) {
	where, err := p.find(r.URL, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	pic, err := p.paint(where)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	state := p.cfg.Slack.State()
	page := whole{Team: state.Team.Name, Title: p.frame(p.viewer(where)).Title, Cloud: p.cfg.Cloud != nil, html: pic.html, lists: pic.lists}
	if cookie, err := r.Cookie("theme"); err == nil && (cookie.Value == "dark" || cookie.Value == "light") {
		page.Theme = cookie.Value
	}
	http.SetCookie(w, &http.Cookie{Name: asCookie, Value: where.User.Name, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}) //nolint:gosec // G124: loopback has no TLS
	pt := &painter{templates: p.templates}
	html := pt.paint("page", page)
	if pt.err != nil {
		http.Error(w, pt.err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(html))
}
