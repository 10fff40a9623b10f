package strict

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxSize bounds a document, in bytes. One that a person wrote is a few kilobytes;
// the bound keeps a wrong file, or a hostile stick, from filling the memory of the
// initramfs.
const MaxSize = 1 << 20

// MaxItems bounds a list, and maxKeys a section or a map: what is inherited is copied,
// so that a file takes more memory than its size.
const (
	MaxItems = 4096
	maxKeys  = 1024
)

// text is a file as a person wrote it: lines and columns both count from 1, and
// columns count characters.
type text struct {
	name  string
	data  []byte
	lines []string // without their ends
	start []int    // where in data each line begins
}

var byteOrderMark = []byte("\ufeff")

func newText(name string, data []byte) *text {
	// Windows editors write the mark, and YAML does not count it as a column.
	t := &text{name: name, data: bytes.TrimPrefix(data, byteOrderMark)}
	offset := 0
	for line := range strings.SplitAfterSeq(string(t.data), "\n") {
		if line == "" && offset > 0 {
			break // the end of the last line begins no other
		}
		t.start = append(t.start, offset)
		t.lines = append(t.lines, strings.TrimRight(line, "\r\n"))
		offset += len(line)
	}
	return t
}

// check finds what keeps data from being text at all, before YAML is asked. Such
// a line is not shown: a secret on it may not read as one.
func (t *text) check(noun string, limit int) *Problem {
	if len(t.data) > limit {
		return &Problem{File: t.name, Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d KiB: this is not a %s", limit>>10, noun)}
	}
	for i := 0; i < len(t.data); {
		r, size := utf8.DecodeRune(t.data[i:])
		var message string
		switch {
		case i == 0 && (bytes.HasPrefix(t.data, []byte("\xff\xfe")) || bytes.HasPrefix(t.data, []byte("\xfe\xff"))):
			message = "the file is UTF-16: save it as UTF-8"
		case r == utf8.RuneError && size == 1:
			message = "the file is not UTF-8: save it as UTF-8"
		case r == 0:
			message = "the file holds NUL bytes: it was cut off as it was copied; copy it again"
		case r == '\r' && bytes.HasPrefix(t.data[i+1:], []byte("\n")), r == '\n', r == '\t':
		// YAML 1.1 takes some of these for line breaks and refuses others; a
		// person sees none of them.
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff', r == '\ufffe', r == '\uffff':
			message = fmt.Sprintf("the control character %U may not stand in a %s: remove it", r, noun)
		}
		if message != "" {
			line, column := t.position(i)
			return &Problem{File: t.name, Line: line, Column: column, Message: message}
		}
		i += size
	}
	return nil
}

// position is the line and column of a place in data.
func (t *text) position(offset int) (line, column int) {
	line = sort.SearchInts(t.start, offset+1)
	return line, 1 + utf8.RuneCount(t.data[t.start[line-1]:offset])
}

// offset is the place in data of a line and column, the nearest there is.
func (t *text) offset(line, column int) int {
	line = min(max(line, 1), len(t.lines))
	offset := t.start[line-1]
	for i := range t.lines[line-1] {
		if column--; column == 0 {
			return offset + i
		}
	}
	return offset + len(t.lines[line-1])
}

// span is where the scalar n stands, with its quotes. It is false where n does
// not read as a scalar there, as with a tag before it.
func (t *text) span(n *yaml.Node) (s Span, ok bool) {
	s.Start = t.offset(n.Line, n.Column)
	s.End = s.Start
	rest := t.data[s.Start:]
	switch n.Style {
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		length := quotedLength(rest)
		return Span{s.Start, s.Start + length}, length > 0
	case yaml.LiteralStyle, yaml.FoldedStyle:
		header := bytes.IndexByte(rest, '\n')
		if header < 0 {
			header = len(rest)
		}
		s.End += header
	case 0:
	default:
		return s, false
	}
	// What is not quoted differs from its value in white space alone.
	isWhite := func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }
	for _, word := range strings.FieldsFunc(n.Value, isWhite) {
		rest := bytes.TrimLeftFunc(t.data[s.End:], isWhite)
		if !bytes.HasPrefix(rest, []byte(word)) {
			return s, false
		}
		s.End = len(t.data) - len(rest) + len(word)
	}
	return s, true
}

// quotedLength is the length of the quoted scalar that data begins with, or 0.
func quotedLength(data []byte) int {
	if len(data) == 0 || data[0] != '"' && data[0] != '\'' {
		return 0
	}
	quote := data[0]
	for i := 1; i < len(data); i++ {
		switch {
		case data[i] == '\\' && quote == '"':
			i++
		case data[i] != quote:
		case quote == '\'' && i+1 < len(data) && data[i+1] == quote: // '' stands for one
			i++
		default:
			return i + 1
		}
	}
	return 0
}
