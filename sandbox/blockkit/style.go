package blockkit

import _ "embed"

//go:embed style.css
var stylesheet string

// Stylesheet is the CSS of everything this package renders: classes that start
// with bk-, and the colours of a light and a dark theme as custom properties of
// the root, which the page may use too. The reader's system chooses the theme
// unless the root has data-theme="light" or "dark".
func Stylesheet() string { return stylesheet }
