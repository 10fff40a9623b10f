package seeds

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"banyan/internal/strict"
)

// The names of secrets are made of these words. They err on the side of hiding:
// public SSH keys go too, since people paste private ones.
const secretWords = `(?i:pass|pwd|secret|key|token|cred)`

var (
	secretWord = regexp.MustCompile(secretWords)
	secretKey  = regexp.MustCompile(secretWords + `[\w.-]*["']?\s*:\s*`)
	// userInfo is what stands before the host of a URL: a user, and often a password.
	userInfo = regexp.MustCompile(`//[^\s"']*@`)
	// userPassword is userInfo up to the password in it.
	userPassword = regexp.MustCompile(`(//[^\s"'/:@]*:)[^\s"']*@`)
	// secretSetting is what a connection string, an option of pg_hba.conf or the
	// environment of a command gives a secret as: NAME=VALUE. Where a quote stands before
	// the name, all to its end is the value, which may have spaces.
	secretSetting = regexp.MustCompile(`("` + secretName + `)(?:[^"\\]|\\.|"")*(")|('` + secretName + `)(?:[^'\\]|\\.|'')*(')` +
		`|(` + secretName + `)(?:` + quoted + `|["']?[^\s"'\\=])(?:` + quoted + `|["']?[^\s"'\\])*`)
	// bareKey is the start of a line, up to the value of its first key.
	bareKey = regexp.MustCompile(`^[-\s{[]*["']?[\w.-]+["']?\s*:(\s+|$)`)
)

const (
	secretName = `[\w.-]*` + secretWords + `[\w.-]*\s*=\s*`
	// quoted is a part of a word in which spaces are no end of it.
	quoted = `"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.`
)

// maskText hides the secrets that a text has among other things. It keeps quotes in
// pairs, so that a line of pg_hba.conf stays one.
func maskText(text string) string {
	return userPassword.ReplaceAllString(secretSetting.ReplaceAllString(text, "${1}${3}${5}(secret)${2}${4}"), "${1}(secret)@")
}

// quote repeats a value in a message, unless it may hold a secret.
func quote(value string) string {
	if secretWord.MatchString(value) || userInfo.MatchString(value) {
		return "this value"
	}
	return strict.Quote(value)
}

// source is a line as it may be shown. It hides the parts of it that are secrets,
// the value of a key that is named like a secret, and whatever stands below
// such a key. The latter two need no tree, so a file that is not even YAML keeps
// its secrets too.
func source(lines []string, line int, secrets []strict.Span) string {
	whole := lines[line-1]
	end := shownLength(whole)
	if above := secretAbove(lines, line); end == len(whole) && above != "" {
		end = depth(whole)
		if opensSection(above) { // whose keys are no secrets
			end = max(end, len(bareKey.FindString(whole)))
		}
	}
	var shown strings.Builder
	at := 0
	hide := func(from, to int) {
		if from = max(from, at); from >= to {
			return
		}
		if from > at || at == 0 { // else it goes on from what is hidden already
			shown.WriteString(whole[at:from] + masked)
		}
		at = to
	}
	secrets = slices.Clone(secrets)
	for _, at := range userInfo.FindAllStringIndex(whole, -1) {
		secrets = append(secrets, strict.Span{Start: at[0] + len("//"), End: at[1] - len("@")})
	}
	slices.SortFunc(secrets, func(a, b strict.Span) int { return a.Start - b.Start })
	for _, s := range secrets {
		hide(s.Start, min(s.End, end))
	}
	hide(end, len(whole))
	shown.WriteString(whole[at:])
	return shown.String()
}

// MaskLines is a text in which what may be a secret is masked, line by line, as where a
// mistake in a seed is shown: the value of each key that is named like one and what
// stands below it, NAME=VALUE, and the user of a URL.
func MaskLines(text string) string {
	lines := strings.Split(text, "\n")
	shown := make([]string, len(lines))
	for i := range lines {
		shown[i] = maskText(source(lines, i+1, nil))
	}
	return strings.Join(shown, "\n")
}

// shownLength is how much of a line may be shown, judging by its own words.
func shownLength(line string) int {
	word := secretWord.FindStringIndex(line)
	if word == nil {
		return len(line)
	}
	if key := secretKey.FindStringIndex(line); key != nil && key[0] <= word[0] {
		return key[1]
	}
	if key := bareKey.FindString(line); key != "" {
		return len(key) // the word is in the value
	}
	return depth(line) // the colon was forgotten, or the line goes on from another
}

// depth is how deep a line is indented. The dash of a list's item counts.
func depth(line string) int { return len(line) - len(strings.TrimLeft(line, " \t-")) }

// opensSection tells the key of a section of the seed from that of a value,
// which may stand on the next line and look like a key itself.
func opensSection(line string) bool {
	key, rest, _ := strings.Cut(line, ":")
	return strings.TrimSpace(rest) == "" && slices.ContainsFunc(strict.Fields(reflect.TypeFor[Seed]()), func(f strict.Field) bool {
		return f.Key == key && strict.FormOf(f.Type) == strict.Section
	})
}

// secretAbove is the line, found by indentation, of the key that is open at a line
// and named like a secret; it is empty where there is none.
func secretAbove(lines []string, line int) string {
	open := depth(lines[line-1])
	for above := line - 1; above >= 1 && open > 0; above-- {
		parent := lines[above-1]
		d := depth(parent)
		if d >= open || d == len(parent) || parent[d] == '#' {
			continue
		}
		open = d
		if secretWord.MatchString(parent) {
			return parent
		}
	}
	return ""
}

// Masked is a copy of s in which no secret is left, to be rendered and shown. Those
// that minting makes are masked even where they are not given yet. Of a text that has
// others in it, such as ldapbindpasswd in a line of pg_hba, the rest stays.
func (s *Seed) Masked() *Seed {
	var copied Seed
	maskInto(reflect.ValueOf(&copied).Elem(), reflect.ValueOf(*s))
	secrets := reflect.ValueOf(&copied.Secrets).Elem()
	for i := range secrets.NumField() {
		secrets.Field(i).SetString(masked)
	}
	return &copied
}

// maskInto copies from to to, with all that they share.
func maskInto(to, from reflect.Value) {
	t := from.Type()
	switch {
	case t == reflect.TypeFor[Secret]():
		if from.Len() > 0 {
			to.SetString(masked)
		}
	case t == reflect.TypeFor[PrivateKey](), strict.FormOf(t) == strict.Section:
		for i := range t.NumField() {
			maskInto(to.Field(i), from.Field(i))
		}
	case t.Kind() == reflect.Slice && !from.IsNil():
		to.Set(reflect.MakeSlice(t, from.Len(), from.Len()))
		for i := range from.Len() {
			maskInto(to.Index(i), from.Index(i))
		}
	case t.Kind() == reflect.Map && !from.IsNil():
		to.Set(reflect.MakeMap(t))
		for key, value := range from.Seq2() {
			element := reflect.New(t.Elem()).Elem()
			maskInto(element, value)
			to.SetMapIndex(key, element)
		}
	case t.Kind() == reflect.String && t != reflect.TypeFor[PEM]():
		to.SetString(maskText(from.String()))
	case t.Kind() == reflect.Interface && from.Elem().Kind() == reflect.String:
		to.Set(reflect.ValueOf(maskText(from.Elem().String())))
	default:
		to.Set(from)
	}
}
