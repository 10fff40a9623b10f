package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/check"
)

// Dynamic is Patroni's dynamic configuration as the seed has it.
type Dynamic struct {
	Wanted map[string]any // as JSON has it
	Err    error          // it cannot be computed
}

// checkDynamic compares what the seed has of the dynamic configuration, which counts when
// the cluster is born, with what is in the DCS. What the seed does not have is a person's.
func checkDynamic(f Facts) []check.Check {
	const name = "dynamic configuration"
	switch {
	case f.Dynamic == nil:
		return nil
	case f.Dynamic.Err != nil:
		return check.Skipped(name, "what the seed has of it is not known: %v", f.Dynamic.Err)
	case f.Cluster.Err != nil:
		return check.Skipped(name, "no Patroni tells of the cluster")
	}
	v := check.Begin(name)
	var differ, set []string
	for _, d := range differences(f.Dynamic.Wanted, f.Cluster.Config.All, "") {
		if d.key == "standby_cluster" {
			v.Warn("where the cluster was promoted: take patroni.standby_cluster out of the seed; else see https://patroni.readthedocs.io/en/latest/standby_cluster.html",
				"standby_cluster differs from the seed's")
			continue
		}
		differ = append(differ, d.String())
		set = append(set, d.option())
	}
	if n := len(differ); n > 0 {
		more := ""
		if n > shown {
			differ, set, more = differ[:shown], set[:shown], ", ..."
		}
		v.Warn(f.patronictl("edit-config "+strings.Join(set, " "))+"; or have the seed say what is in force",
			"%s from the seed: %s%s", count(n, "key differs", "keys differ"), strings.Join(differ, ", "), more)
	}
	return v.End("it has all that the seed has")
}

// difference is a key of the dynamic configuration, by its path, that differs.
type difference struct {
	key         string
	wanted, has any // has is nil where it has none
}

var (
	// word is a value that may be shown: a number, a switch, a size or the like.
	word = regexp.MustCompile(`^"?[\w.+-]{1,24}"?$`)
	// secret is in the name of what may not. A command may have a secret in it, too.
	secret = regexp.MustCompile(`(?i)pass|pwd|secret|key|token|cred`)
)

// open tells whether both values may be shown.
func (d difference) open() bool {
	return !secret.MatchString(d.key) && word.MatchString(text(d.wanted)) && (d.has == nil || word.MatchString(text(d.has)))
}

func (d difference) String() string {
	switch {
	case !d.open() && d.has == nil:
		return d.key + " is not set"
	case !d.open():
		return d.key + " is another"
	case d.has == nil:
		return fmt.Sprintf("%s is not set, and in the seed %s", d.key, text(d.wanted))
	}
	return fmt.Sprintf("%s is %s, and in the seed %s", d.key, text(d.has), text(d.wanted))
}

// option has patronictl-edit-config set the key to what the seed has: its values are YAML.
func (d difference) option() string {
	value := "VALUE"
	if d.open() {
		value = text(d.wanted)
	}
	return "--set " + shellWord(d.key+"="+value)
}

// differences are those of what is wanted below a path, such as "postgresql.", by name. A
// standby cluster is one key, since half of one would be another.
func differences(wanted, has map[string]any, path string) []difference {
	var all []difference
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		want, key := wanted[name], path+name
		is := has[name]
		if path == "" {
			is = inForce(has, name)
		}
		below, nested := want.(map[string]any)
		there, _ := is.(map[string]any)
		switch {
		case key == "standby_cluster":
			if len(differences(below, there, key+".")) > 0 {
				all = append(all, difference{key, want, is})
			}
		case nested:
			all = append(all, differences(below, there, key+".")...)
		case is == nil && want == (key == "postgresql.use_slots") && path != "postgresql.parameters.":
			// What Patroni has for a switch that is not set: none but that one is on.
		case !same(want, is):
			all = append(all, difference{key, want, is})
		}
	}
	return all
}

// inForce is a key of Patroni's: from version 3 on it takes one with master in its name
// where it has none with primary, by which it asks for it; an older one knows the first alone.
// https://patroni.readthedocs.io/en/latest/releases.html#version-3-0-0
func inForce(has map[string]any, name string) any {
	if rest, renamed := strings.CutPrefix(name, "primary_"); renamed && has[name] == nil {
		return has["master_"+rest]
	}
	return has[name]
}

// same compares two values as Patroni and PostgreSQL read them, but for units: on is true,
// and "200" is 200.
func same(a, b any) bool {
	if a == nil || b == nil {
		return a == b
	}
	if x, known := boolean(a); known {
		if y, known := boolean(b); known {
			return x == y
		}
	}
	x, xErr := strconv.ParseFloat(fmt.Sprint(a), 64)
	y, yErr := strconv.ParseFloat(fmt.Sprint(b), 64)
	if xErr == nil && yErr == nil {
		return x == y
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// boolean reads a switch as parse_bool of patroni/utils.py does.
func boolean(value any) (on, known bool) {
	switch strings.ToLower(fmt.Sprint(value)) {
	case "on", "true", "yes", "1":
		return true, true
	case "off", "false", "no", "0":
		return false, true
	}
	return false, false
}

// text is a value in JSON, which is YAML too, as patronictl reads it.
func text(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil { // it came from JSON
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// shellWord is text as one word of sh(1).
func shellWord(text string) string {
	if !strings.ContainsAny(text, `"'`) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
