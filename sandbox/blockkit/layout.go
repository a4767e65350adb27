// Blocks that lay out text and images:
// https://docs.slack.dev/reference/block-kit/blocks.

package blockkit

import "strings"

func (o *out) section(b object) {
	o.in("div", attrs{"class", "bk-section"}, func() {
		o.in("div", attrs{"class", "bk-section-body"}, func() {
			if text := b.object("text"); text != nil {
				o.in("div", attrs{"class", "bk-text"}, func() { o.textObject(text) })
			}
			o.fields(b.objects("fields"))
		})
		if accessory := b.object("accessory"); accessory != nil {
			o.in("div", attrs{"class", "bk-accessory"}, func() { o.element(b, accessory) })
		}
	})
}

func (o *out) fields(fields []object) {
	if len(fields) == 0 {
		return
	}
	o.in("div", attrs{"class", "bk-fields"}, func() {
		for _, f := range fields {
			o.in("div", attrs{"class", "bk-text"}, func() { o.textObject(f) })
		}
	})
}

// textObject renders a text of either kind: plain_text has emoji and nothing
// else, and its characters are not escaped.
func (o *out) textObject(t object) {
	if t.str("type") == "mrkdwn" {
		o.nodes(parseMrkdwn(t.str("text")))
		return
	}
	o.nodes(plainNodes(t.str("text")))
}

// titleOf renders a title, which is a string in some blocks and a text object
// in others.
func (o *out) titleOf(b object, key string) {
	if t := b.object(key); t != nil {
		o.textObject(t)
		return
	}
	o.nodes(plainNodes(b.str(key)))
}

// plainText is what a text object says, for labels and attributes.
func (r Renderer) plainText(t object) string {
	if t.str("type") == "mrkdwn" {
		return r.Plain(t.str("text"))
	}
	return r.plain(plainNodes(t.str("text")))
}

// plainNodes finds the emoji in text without markup.
func plainNodes(s string) []node {
	var nodes []node
	start := 0
	for i := 0; i < len(s); i++ {
		if s[i] != ':' {
			continue
		}
		if n, width := emojiAt(s[i:]); width > 0 {
			nodes = append(nodes, node{text: s[start:i]}, n)
			start = i + width
			i = start - 1
		}
	}
	return append(nodes, node{text: s[start:]})
}

func (o *out) header(b object) {
	o.in("div", attrs{"class", "bk-header", "role", "heading", "aria-level", "3"}, func() { o.titleOf(b, "text") })
}

func (o *out) context(b object) {
	o.in("div", attrs{"class", "bk-context"}, func() {
		for _, e := range b.objects("elements") {
			if e.str("type") == "image" {
				o.image("bk-context-image", e)
				continue
			}
			o.in("div", attrs{"class", "bk-context-text"}, func() { o.textObject(e) })
		}
	})
}

func (o *out) imageBlock(b object) {
	o.in("div", attrs{"class", "bk-image"}, func() {
		if b.words("title") != "" {
			o.in("div", attrs{"class", "bk-image-title"}, func() { o.titleOf(b, "title") })
		}
		o.image("bk-image-img", b)
	})
}

// image renders an image, or its description if it cannot be loaded.
func (o *out) image(class string, b object) {
	alt := b.str("alt_text")
	source, ok := o.r.source(b)
	if !ok {
		o.span("span", "bk-missing", "Image: "+alt)
		return
	}
	o.void("img", attrs{"class", class, "src", source, "alt", alt, "loading", "lazy"})
}

// source is where an image can be loaded from.
func (r Renderer) source(b object) (string, bool) {
	file := b.object("slack_file")
	if file == nil {
		to, ok := safeURL(b.str("image_url"))
		return to, ok && !strings.HasPrefix(to, "mailto:")
	}
	if r.File == nil {
		return "", false
	}
	ref := file.str("id")
	if ref == "" {
		ref = file.str("url")
	}
	where, ok := r.File(ref)
	if !ok {
		return "", false
	}
	return ownURL(where)
}

func (o *out) alert(b object) {
	level := b.str("level")
	word, known := map[string]string{"info": "Info", "warning": "Warning", "error": "Error", "success": "Success"}[level]
	if !known {
		level, word = "default", "Note"
	}
	o.in("div", attrs{"class", "bk-alert bk-alert-" + level, "role", "status"}, func() {
		o.in("div", attrs{"class", "bk-text"}, func() {
			o.span("b", "bk-alert-level", word)
			o.text(": ")
			o.titleOf(b, "text")
		})
	})
}

func (o *out) card(b object) {
	o.in("div", attrs{"class", "bk-card"}, func() {
		if hero := b.object("hero_image"); hero != nil {
			o.image("bk-card-hero", hero)
		}
		o.caption(b)
		for _, key := range []string{"body", "subtext"} {
			if b.words(key) != "" {
				o.in("div", attrs{"class", "bk-card-" + key}, func() { o.titleOf(b, key) })
			}
		}
		if buttons := b.objects("actions"); len(buttons) > 0 {
			o.in("div", attrs{"class", "bk-actions"}, func() { o.elements(b, buttons) })
		}
	})
}

// caption is the icon, title and subtitle of a card or a container.
func (o *out) caption(b object) {
	o.in("div", attrs{"class", "bk-caption"}, func() {
		if icon := b.object("icon"); icon != nil {
			o.image("bk-caption-icon", icon)
		}
		o.in("span", attrs{"class", "bk-caption-text"}, func() {
			o.in("b", attrs{"class", "bk-caption-title"}, func() { o.captionTitle(b) })
			if b.words("subtitle") != "" {
				o.in("span", attrs{"class", "bk-caption-subtitle"}, func() { o.text(o.r.plainText(b.object("subtitle"))) })
			}
		})
	})
}

func (o *out) captionTitle(b object) {
	if rich := b.object("rich_text_title"); rich != nil {
		for _, part := range rich.objects("elements") {
			o.nodes(richSpans(part.objects("elements")))
		}
		return
	}
	o.text(o.r.plainText(b.object("title")))
}

func (o *out) container(b object, depth int) {
	children := func() {
		o.in("div", attrs{"class", "bk-container-body"}, func() { o.blocks(b.objects("child_blocks"), depth+1) })
	}
	if !b.is("is_collapsible") {
		o.in("div", attrs{"class", "bk-container"}, func() {
			o.caption(b)
			children()
		})
		return
	}
	o.in("details", attrs{"class", "bk-container"}.flag("open", !b.is("default_collapsed")), func() {
		o.in("summary", attrs{"class", "bk-summary"}, func() { o.caption(b) })
		children()
	})
}
