package cli

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed comments.txt
var commentLines string

// comments are the comments of the API's protos by name; `make gen` writes them.
var comments = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(commentLines) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		m[name] = text
	}
	return m
})

const apiPackage = "tenure.v1."

func (n noun) short() string {
	if n.about != "" {
		return n.about
	}
	text := strings.TrimPrefix(n.long(), n.service+": ")
	text = strings.TrimPrefix(text, n.service+" ")
	return sentence(text)
}

func (n noun) long() string { return comments()[apiPackage+n.service] }

// short is a line for lists of commands.
func (c command) short() string {
	if c.about != "" {
		return c.about
	}
	_, method, _ := strings.Cut(c.method, ".")
	text := strings.TrimPrefix(c.comment(), method+": ")
	return sentence(strings.TrimPrefix(text, method+" "))
}

// long is all that is known about a command.
func (c command) long(arguments []*input) string {
	text := c.short() + "."
	if comment := c.comment(); comment != "" {
		text += "\n\n" + wrap(comment)
	}
	for i, in := range arguments {
		if i == 0 {
			text += "\n"
		}
		text += "\n- " + in.say() + ": " + in.helpText()
	}
	return text + "\n\nIt calls " + apiPackage + c.method + "."
}

func (c command) comment() string { return comments()[apiPackage+c.method] }

// sentence is the first one of a text, beginning with a capital and without its stop.
func sentence(text string) string {
	text, _, _ = strings.Cut(text, ". ")
	text = strings.TrimSuffix(text, ".")
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// wrap breaks a text into lines of at most 100 characters.
func wrap(text string) string {
	var b strings.Builder
	width := 0
	for _, word := range strings.Fields(text) {
		switch n := utf8.RuneCountInString(word); {
		case width == 0:
			width = n
		case width+1+n > 100:
			b.WriteByte('\n')
			width = n
		default:
			b.WriteByte(' ')
			width += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}
