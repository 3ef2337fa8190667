package cli

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// table is rows under a header; columns in which nothing stands are not shown.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) print(w io.Writer) error {
	shown := make([]bool, len(t.header))
	widths := make([]int, len(t.header))
	for i, h := range t.header {
		widths[i] = columnsOf(h)
		shown[i] = len(t.rows) == 0
	}
	for _, row := range t.rows {
		for i, cell := range row {
			shown[i] = shown[i] || cell != ""
			widths[i] = max(widths[i], columnsOf(cell))
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{t.header}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			if shown[i] {
				line.WriteString(cell)
				line.WriteString(strings.Repeat(" ", widths[i]-columnsOf(cell)+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// columnsOf is how many columns of a terminal a text takes.
func columnsOf(s string) (n int) {
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r):
		case width.LookupRune(r).Kind() == width.EastAsianWide || width.LookupRune(r).Kind() == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// visible writes out what would move the cursor, hide text or turn its direction: some texts come from strangers.
func visible(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				b.WriteString("\\x" + hexByte(s[i]))
				continue
			}
		}
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(escaped(r))
		}
	}
	return b.String()
}
