package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// errSecondDocument is what a file with more than one YAML document fails with.
var errSecondDocument = errors.New("second document")

// readTree reads the tree of the only YAML document that r holds; it is nil where
// r holds nothing but comments. Aliases stay what they are: nothing is
// expanded, so no document grows beyond its file.
func readTree(r io.Reader) (*yaml.Node, error) {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(r)
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, errSecondDocument
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return document.Content[0], nil
}

// syntaxProblem is what readTree failed with, for a person.
func (t *text) syntaxProblem(err error, noun string) Problem {
	message := syntaxPlace.ReplaceAllString(err.Error(), "")
	line := t.firstBadLine()
	if message == misplacedColon && line > 1 && !hasKey.MatchString(t.lines[line-2]) {
		// A line without a key is text to YAML; the key after it is what cannot be.
		line, message = line-1, missingColon
	}
	bad := t.lines[line-1]
	indentation := bad[:len(bad)-len(strings.TrimLeft(bad, " \t"))]
	if tab := strings.IndexByte(indentation, '\t'); tab >= 0 {
		return Problem{Line: line, Column: tab + 1, Message: syntaxWords[misplacedTab]}
	}
	return Problem{Line: line, Column: len(indentation) + 1, Message: syntaxAdvice(message, noun)}
}

var (
	syntaxPlace = regexp.MustCompile(`^yaml: (line \d+: )?`)
	hasKey      = regexp.MustCompile(`:(\s|$)|^\s*(#|$)`)
)

// firstBadLine is the line that follows the longest run of lines which are YAML
// by themselves. That is where a quote or a bracket was opened and not closed,
// rather than where that was noticed; yaml.v3's own messages name at times the
// first line of the mapping, and at times the line before.
func (t *text) firstBadLine() int {
	budget := int64(16 * MaxSize) // so that no file takes longer than seconds
	for good := len(t.lines) - 1; good > 0 && budget > 0; good-- {
		run := bytes.NewReader(t.data[:t.start[good]])
		if _, err := readTree(run); err == nil {
			return good + 1
		}
		budget -= run.Size() - int64(run.Len())
	}
	return 1
}

// Messages of yaml.v3.
const (
	misplacedColon = "mapping values are not allowed in this context"
	missingColon   = "could not find expected ':'"
	misplacedTab   = "found a tab character that violates indentation"
)

// syntaxWords says what to do about a message of yaml.v3.
var syntaxWords = map[string]string{
	misplacedColon: `a colon where no key can be: indent the line like its neighbours, and quote a value that holds ": "`,
	missingColon:   `expected "key: value": is the colon, or the space after it, missing?`,
	misplacedTab:   "a tab in the indentation: YAML takes spaces only",
	"mapping keys are not allowed in this context":           `a "?" where no key can be: quote a value that begins with it`,
	"block sequence entries are not allowed in this context": `a "-" where no list can be: put each item on a line of its own`,
	"did not find expected key":                              "expected a key: indent the line like its neighbours, and quote values with special characters",
	"did not find expected '-' indicator":                    `expected an item of the list, "- value", or a key that is indented less`,
	"did not find expected ',' or ']'":                       `a "[" that is not closed, or a comma that is missing`,
	"did not find expected ',' or '}'":                       `a "{" that is not closed, or a comma that is missing`,
	"did not find expected node content":                     "expected a value: is a bracket not closed?",
	"did not find expected <document start>":                 "this line is indented less than the first key: indent both alike",
	"found unexpected end of stream":                         "a quote that is not closed",
	"found unexpected document indicator":                    "a quote that is not closed",
	"found unknown escape character":                         `a backslash in double quotes that begins no escape: write it twice, or use single quotes`,
	"found character that cannot start any token":            "a value cannot begin with this character: put it in quotes",
}

// syntaxAdvice is what to do about a message of yaml.v3. All are constants but
// one, which repeats the file: the alias that it does not know may be a password
// that begins with an asterisk.
func syntaxAdvice(message, noun string) string {
	switch advice, ok := syntaxWords[message]; {
	case ok:
		return advice
	case message == errSecondDocument.Error():
		return fmt.Sprintf("a second YAML document begins here: a %s is one document", noun)
	case strings.HasPrefix(message, "unknown anchor"):
		return fmt.Sprintf(aliasMessage, noun)
	}
	return "this is not YAML: " + message
}
