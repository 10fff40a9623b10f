package seeds

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"banyan/internal/strict"
)

// Difference is a setting that two seeds do not share.
type Difference struct {
	// Nodes are those that it is a setting of; none where it is the cluster's.
	Nodes []string `json:"nodes,omitempty"`
	Path  string   `json:"path"`
	// Old and New are the values, "" where there is none. Secrets are masked: where both
	// are the same, they differ by a secret.
	Old string `json:"old"`
	New string `json:"new"`
}

// Change is the difference without its place, on a line.
func (d Difference) Change() string {
	switch {
	case d.Old == d.New: // but for a secret
		return "changed " + d.New
	case d.Old == "":
		return "set to " + d.New
	case d.New == "":
		return "no longer " + d.Old
	}
	return d.Old + " -> " + d.New
}

// Diff lists what differs from one seed to another: what is the cluster's, then what is
// in effect on the nodes, with those that differ alike in one.
func Diff(from, to *Seed) []Difference {
	differences := compare(clusterSettings(from), clusterSettings(to))
	index := map[string]int{}
	for _, n := range append(slices.Clone(to.Nodes), from.Nodes...) {
		a, was := from.ByName(n.Name)
		b, is := to.ByName(n.Name)
		if index["node "+n.Name] != 0 {
			continue
		}
		index["node "+n.Name] = 1
		if !was || !is {
			d := Difference{Path: "nodes[" + n.Name + "]"}
			if was {
				d.Old = a.Address.String()
			} else {
				d.New = b.Address.String()
			}
			differences = append(differences, d)
			continue
		}
		for _, d := range compare(settings("", reflect.ValueOf(a)), settings("", reflect.ValueOf(b))) {
			key := strings.Join([]string{"setting", d.Path, d.Old, d.New}, "\x00")
			if index[key] == 0 {
				differences = append(differences, d)
				index[key] = len(differences)
			}
			alike := &differences[index[key]-1]
			alike.Nodes = append(alike.Nodes, n.Name)
		}
	}
	return differences
}

// setting is one value of a seed.
type setting struct {
	path, shown string
	value       string // a secret's is compared and never shown
}

// clusterSettings are those that no node has of its own.
func clusterSettings(s *Seed) []setting {
	whole := *s
	whole.Nodes = nil
	own := reflect.TypeFor[Node]()
	return slices.DeleteFunc(settings("", reflect.ValueOf(whole)), func(x setting) bool {
		section, _, _ := strings.Cut(x.path, ".")
		return slices.ContainsFunc(strict.Fields(own), func(f strict.Field) bool { return f.Onto == section && section != "" })
	})
}

// settings lists the values below v that are not zero, in the order of the schema.
func settings(path string, v reflect.Value) []setting {
	t := v.Type()
	var all []setting
	switch {
	case strict.FormOf(t) == strict.Section:
		for _, f := range strict.Fields(t) {
			key := f.Key
			if path != "" {
				key = path + "." + key
			}
			all = append(all, settings(key, v.Field(f.Index))...)
		}
	case t.Kind() == reflect.Map:
		names := slices.SortedFunc(maps.Keys(mapOf(v)), strings.Compare)
		for _, name := range names {
			element := mapOf(v)[name]
			below := settings(path+"."+name, element)
			if len(below) == 0 {
				below = []setting{{path: path + "." + name, shown: fmt.Sprint(element), value: fmt.Sprint(element)}}
			}
			all = append(all, below...)
		}
	case t.Kind() == reflect.Slice && strict.FormOf(t.Elem()) == strict.Section:
		for i := range v.Len() {
			label := fmt.Sprint(i)
			if name := v.Index(i).FieldByName("Name"); name.IsValid() && name.Kind() == reflect.String {
				label = name.String()
			}
			all = append(all, settings(path+"["+label+"]", v.Index(i))...)
		}
	case v.IsZero(), t.Kind() == reflect.Slice && v.Len() == 0:
	default:
		shown := reflect.New(t).Elem()
		maskInto(shown, v)
		all = []setting{{path: path, shown: fmt.Sprint(shown), value: fmt.Sprint(v)}}
		if secret, ok := reflect.TypeAssert[strict.Secret](v); ok {
			all[0].value = secret.Reveal()
		}
		if t == reflect.TypeFor[PEM]() {
			all[0].shown = "(certificate)"
		}
	}
	return all
}

func mapOf(v reflect.Value) map[string]reflect.Value {
	m := map[string]reflect.Value{}
	for key, value := range v.Seq2() {
		m[key.String()] = value
	}
	return m
}

// compare lists what differs, in the order of to; what is gone follows.
func compare(from, to []setting) []Difference {
	was := map[string]setting{}
	for _, s := range from {
		was[s.path] = s
	}
	var differences []Difference
	for _, s := range to {
		if old, there := was[s.path]; !there || old.value != s.value {
			differences = append(differences, Difference{Path: s.path, Old: old.shown, New: s.shown})
		}
		delete(was, s.path)
	}
	for _, s := range from {
		if _, gone := was[s.path]; gone {
			differences = append(differences, Difference{Path: s.path, Old: s.shown})
		}
	}
	return differences
}
