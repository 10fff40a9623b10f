package strict

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Problem is one thing that is wrong with a document, and where.
type Problem struct {
	File    string
	Line    int    // from 1
	Column  int    // in characters, from 1
	Message string // what is wrong and what to write instead
	Source  string // the line, as it may be shown
}

// String is the problem for a console: place and message, then the line with a
// caret under the column.
func (p Problem) String() string {
	head := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	if strings.TrimSpace(p.Source) == "" {
		return head
	}
	line, caret := p.excerpt()
	return fmt.Sprintf("%s\n    %s\n    %s^", head, line, strings.Repeat(" ", caret))
}

const (
	excerptWidth = 72 // of the 80 columns of a console
	tabWidth     = 4
	cut          = "..."
)

// excerpt is the part of Source about the column, and how many columns of a
// terminal lie before the column in it.
func (p Problem) excerpt() (line string, caret int) {
	type cell struct {
		text  string
		width int
	}
	var cells []cell
	for _, r := range p.Source {
		cells = append(cells, cell{printable(r), cellWidth(r)})
	}
	measure := func(from, to int) (n int) {
		for _, c := range cells[from:to] {
			n += c.width
		}
		return n
	}

	// The line may be shorter than it was: a mask takes what follows it along.
	column := min(max(p.Column-1, 0), len(cells))
	from, to := 0, len(cells)
	if measure(from, to) > excerptWidth {
		for from = column; from > 0 && measure(from-1, column) <= excerptWidth/2; {
			from--
		}
		for to = column; to < len(cells) && measure(from, to+1) <= excerptWidth; {
			to++
		}
	}
	var b strings.Builder
	if from > 0 {
		b.WriteString(cut)
		caret = len(cut)
	}
	for _, c := range cells[from:to] {
		b.WriteString(c.text)
	}
	if to < len(cells) {
		b.WriteString(cut)
	}
	return b.String(), caret + measure(from, column)
}

// printable is r as it can do no harm to a terminal.
func printable(r rune) string {
	switch {
	case r == '\t':
		return strings.Repeat(" ", tabWidth)
	case !unicode.IsPrint(r):
		return "?"
	}
	return string(r)
}

// cellWidth is how many columns of a terminal printable(r) takes.
func cellWidth(r rune) int {
	switch kind := width.LookupRune(r).Kind(); {
	case r == '\t':
		return tabWidth
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Problems is all that is wrong with a document, in the order of the file. It is
// the error of [Document.Err].
type Problems []Problem

// Error is all problems for a console.
func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, "\n")
}
