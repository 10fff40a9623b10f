package ansible

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// errUndefined is what the filter default mends.
var errUndefined = errors.New("not defined in the files given")

// token is a word of an expression: a name, a number, text in quotes or a sign.
type token struct {
	sort byte // n, 0, ' or the sign itself
	text string
}

var (
	tokenName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)
	tokenNumber = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?`)
	tokenText   = regexp.MustCompile(`^(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")`)
)

// tokens are those of an expression, and its length up to and with "}}".
func tokens(text string) (all []token, length int, err error) {
	braces := 0
	for i := 0; i < len(text); {
		rest := text[i:]
		name, number, quoted := tokenName.FindString(rest), tokenNumber.FindString(rest), tokenText.FindStringSubmatch(rest)
		switch {
		case strings.ContainsRune(" \t\r\n", rune(rest[0])):
			i++
		case braces == 0 && strings.HasPrefix(rest, "}}"):
			return all, i + 2, nil
		case braces == 0 && strings.HasPrefix(rest, "-}}"):
			return all, i + 3, nil
		case name != "":
			all = append(all, token{'n', name})
			i += len(name)
		case number != "":
			all = append(all, token{'0', number})
			i += len(number)
		case quoted != nil:
			all = append(all, token{'\'', strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`).Replace(quoted[1] + quoted[2])})
			i += len(quoted[0])
		default:
			switch rest[0] {
			case '{':
				braces++
			case '}':
				braces--
			}
			all = append(all, token{rest[0], rest[:1]})
			i++
		}
	}
	return nil, 0, errors.New("the expression is not closed")
}

// expression evaluates what stands between "{{" and "}}" at the beginning of text.
func (r *resolver) expression(text string, at place) (value, int, error) {
	words, length, err := tokens(text)
	if err != nil {
		return value{}, 0, err
	}
	if len(words) > 0 && words[0].sort == '-' { // as in {{- x }}
		words = words[1:]
	}
	p := &parser{resolver: r, rest: words, at: at}
	v, err := p.sum()
	if err == nil && len(p.rest) > 0 {
		err = fmt.Errorf("this expression is not read to its end")
		if sort := p.rest[0].sort; sort != '\'' {
			err = fmt.Errorf("this expression is not read from %q on", p.rest[0].text)
		}
	}
	return v, length, err
}

// parser evaluates an expression as it reads it.
type parser struct {
	*resolver
	rest  []token
	at    place
	depth int
}

// take takes the next token if it is of that sort.
func (p *parser) take(sort byte) (token, bool) {
	if len(p.rest) == 0 || p.rest[0].sort != sort {
		return token{}, false
	}
	t := p.rest[0]
	p.rest = p.rest[1:]
	return t, true
}

func (p *parser) want(sort byte) error {
	if _, ok := p.take(sort); !ok {
		return fmt.Errorf("expected %q", sort)
	}
	return nil
}

func (p *parser) text(s string) value { return value{kind: scalar, at: p.at, text: s} }

// sum is terms with "+" between them, which joins lists or adds numbers.
func (p *parser) sum() (value, error) {
	if p.depth++; p.depth > maxDepth {
		return value{}, errors.New("the expression is nested too deep")
	}
	defer func() { p.depth-- }()
	v, err := p.join()
	for err == nil {
		if _, more := p.take('+'); !more {
			return v, nil
		}
		var w value
		if w, err = p.join(); err != nil {
			break
		}
		v, err = p.add(v, w)
	}
	return v, err
}

func (p *parser) add(v, w value) (value, error) {
	switch {
	case v.kind == unresolved:
		return v, nil
	case w.kind == unresolved:
		return w, nil
	case v.kind == list && w.kind == list:
		if !p.spend(len(v.items) + len(w.items)) {
			return value{}, errors.New("the list is too long")
		}
		v.items = append(slices.Clone(v.items), w.items...)
		return v, nil
	case v.kind == scalar && w.kind == scalar:
		a, err := strconv.ParseInt(v.text, 10, 32)
		b, err2 := strconv.ParseInt(w.text, 10, 32)
		if err == nil && err2 == nil {
			return p.text(strconv.FormatInt(a+b, 10)), nil
		}
	}
	return value{}, errors.New(`"+" is read between lists or whole numbers only: "~" joins text`)
}

// join is terms with "~" between them, which joins text.
func (p *parser) join() (value, error) {
	v, err := p.filtered()
	for err == nil {
		if _, more := p.take('~'); !more {
			return v, nil
		}
		var w value
		if w, err = p.filtered(); err != nil {
			break
		}
		switch {
		case v.kind == unresolved:
		case w.kind == unresolved:
			v = w
		case v.kind != scalar || w.kind != scalar:
			return value{}, errors.New(`"~" is read between text only`)
		case !p.spend(len(v.text) + len(w.text)):
			return value{}, errors.New("the text is too long")
		default:
			v = p.text(v.text + w.text)
		}
	}
	return v, err
}

// filtered is a term with the filters that follow it.
func (p *parser) filtered() (value, error) {
	v, err := p.term()
	for {
		if _, more := p.take('|'); !more {
			return v, err
		}
		name, ok := p.take('n')
		if !ok {
			return value{}, errors.New("expected the name of a filter")
		}
		if err != nil && !errors.Is(err, errUndefined) {
			return value{}, err
		}
		arguments, wrong := p.arguments()
		if wrong != nil {
			return value{}, wrong
		}
		if name.text == "default" || name.text == "d" {
			missing := err != nil || len(arguments) > 1 && truthy(arguments[1]) && !truthy(v)
			if missing && len(arguments) == 0 {
				v = p.text("")
			} else if missing {
				v = arguments[0]
			}
			err = nil
			continue
		}
		if err == nil && v.kind != unresolved {
			v, err = p.filter(name.text, v, arguments)
		}
	}
}

func truthy(v value) bool {
	return len(v.items) > 0 || v.kind == scalar && v.text != "" && !strings.EqualFold(v.text, "false")
}

// arguments are those in parentheses after a filter, if there are any.
func (p *parser) arguments() ([]value, error) {
	if _, open := p.take('('); !open {
		return nil, nil
	}
	return p.values(')')
}

// values are expressions with commas between them, up to and with the sign end.
func (p *parser) values(end byte) ([]value, error) {
	var all []value
	for {
		if _, closed := p.take(end); closed {
			return all, nil
		}
		if len(all) > 0 {
			if err := p.want(','); err != nil {
				return nil, err
			}
			if _, closed := p.take(end); closed {
				return all, nil
			}
		}
		v, err := p.sum()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}

func (p *parser) filter(name string, v value, arguments []value) (value, error) {
	for _, a := range arguments {
		if a.kind == unresolved {
			return a, nil
		}
	}
	if name == "list" && v.kind == list {
		return v, nil
	}
	if v.kind != scalar {
		return value{}, fmt.Errorf("the filter %s is read after text only", name)
	}
	switch {
	case name == "string" || name == "bool" || name == "quote":
		return v, nil
	case name == "lower":
		return p.text(strings.ToLower(v.text)), nil
	case name == "upper":
		return p.text(strings.ToUpper(v.text)), nil
	case name == "trim":
		return p.text(strings.TrimSpace(v.text)), nil
	case name == "int":
		i, err := strconv.ParseInt(strings.TrimSpace(v.text), 10, 64)
		if err != nil {
			return value{}, errors.New("this is no whole number")
		}
		return p.text(strconv.FormatInt(i, 10)), nil
	case name == "replace" && len(arguments) == 2:
		from, to := arguments[0].text, arguments[1].text
		if !p.spend(len(v.text) * (1 + len(to))) {
			return value{}, errors.New("the text is too long")
		}
		return p.text(strings.ReplaceAll(v.text, from, to)), nil
	}
	return value{}, fmt.Errorf("the filter %s is not read", name)
}

// term is a name, text, a number, a list or an expression in parentheses, with what
// is picked from it.
func (p *parser) term() (value, error) {
	v, err := p.primary()
	for {
		if _, dot := p.take('.'); dot {
			name, ok := p.take('n')
			if !ok {
				return value{}, errors.New("expected a name after the dot")
			}
			if err == nil {
				v, err = p.pick(v, name.text)
			}
			continue
		}
		if _, open := p.take('['); open {
			index, wrong := p.sum()
			if wrong == nil {
				wrong = p.want(']')
			}
			switch {
			case wrong != nil:
				return value{}, wrong
			case index.kind == unresolved:
				v, err = index, nil
			case err == nil:
				v, err = p.pick(v, index.text)
			}
			continue
		}
		if len(p.rest) > 0 && p.rest[0].sort == '(' {
			return value{}, errors.New("calls are not read")
		}
		return v, err
	}
}

// pick is the member of a mapping, or of a list by its number from 0.
func (p *parser) pick(v value, key string) (value, error) {
	if v.kind == unresolved {
		return v, nil
	}
	found := false
	var picked value
	if v.kind == list {
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(v.items) {
			picked, found = v.items[i], true
		}
	} else {
		picked, found = v.member(key)
	}
	if !found {
		return value{}, fmt.Errorf("%q is %w", key, errUndefined)
	}
	if picked.raw {
		picked = p.nested(picked)
	}
	return picked, nil
}

// nested resolves what a host's variable says.
func (p *parser) nested(v value) value {
	p.resolver.depth++
	defer func() { p.resolver.depth-- }()
	if p.resolver.depth > maxDepth {
		return cannot(v.at, "the variable refers to itself")
	}
	return p.template(v.text, v.at)
}

func (p *parser) primary() (value, error) {
	if t, ok := p.take('\''); ok {
		return p.text(t.text), nil
	}
	if t, ok := p.take('0'); ok {
		return p.text(t.text), nil
	}
	if _, ok := p.take('('); ok {
		v, err := p.sum()
		if wrong := p.want(')'); wrong != nil {
			return value{}, wrong
		}
		return v, err
	}
	if _, ok := p.take('['); ok {
		items, err := p.values(']')
		return value{kind: list, at: p.at, items: items}, err
	}
	if _, ok := p.take('{'); ok {
		return value{kind: mapping, at: p.at}, p.want('}')
	}
	t, ok := p.take('n')
	if !ok {
		return value{}, errors.New("this expression is not read")
	}
	switch t.text {
	case "true", "True", "false", "False":
		return p.text(strings.ToLower(t.text)), nil
	case "none", "None":
		return value{at: p.at}, nil
	case "groups":
		return p.magic(t.text, p.groups), nil
	case "hostvars":
		return p.magic(t.text, p.hostvars), nil
	}
	if v, ok := p.lookup(t.text); ok {
		return v, nil
	}
	if strings.HasPrefix(t.text, "ansible_") {
		return value{}, fmt.Errorf("%s is a fact of a machine and %w", t.text, errUndefined)
	}
	return value{}, fmt.Errorf("%s is %w", t.text, errUndefined)
}
