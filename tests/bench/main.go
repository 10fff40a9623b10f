// Command bench makes Markdown tables of what go test -bench prints: one for
// each benchmark, with a row for each unit and a column for each sub-benchmark.
package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	lines, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	fmt.Print(tables(string(lines)))
}

// table holds one benchmark's values, its columns and units in the order in
// which they first appear.
type table struct {
	name           string
	columns, units []string
	values         map[cell]string
}

type cell struct{ unit, column string }

// result is a benchmark's line: its name, that of the sub-benchmark, GOMAXPROCS,
// how often it ran, and pairs of a value and a unit.
var result = regexp.MustCompile(`^Benchmark([^/\s]+?)(?:/(\S+?))?(?:-\d+)?\s+\d+((?:\s+\S+ \S+)+)$`)

func tables(lines string) string {
	var all []*table
	for line := range strings.Lines(lines) {
		match := result.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		name, column, pairs := match[1], match[2], strings.Fields(match[3])
		i := slices.IndexFunc(all, func(t *table) bool { return t.name == name })
		if i < 0 {
			i = len(all)
			all = append(all, &table{name: name, values: map[cell]string{}})
		}
		t := all[i]
		t.columns = appendNew(t.columns, column)
		for pair := range slices.Chunk(pairs, 2) {
			value, unit := pair[0], pair[1]
			t.units = appendNew(t.units, unit)
			t.values[cell{unit, column}] = value
		}
	}
	var text strings.Builder
	for _, t := range all {
		t.print(&text)
	}
	return text.String()
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n| %s |", t.name)
	for _, column := range t.columns {
		fmt.Fprintf(w, " %s |", words(column))
	}
	fmt.Fprintf(w, "\n| --- |%s\n", strings.Repeat(" ---: |", len(t.columns)))
	for _, unit := range t.units {
		fmt.Fprintf(w, "| %s |", label(unit))
		for _, column := range t.columns {
			fmt.Fprintf(w, " %s |", t.values[cell{unit, column}])
		}
		fmt.Fprintln(w)
	}
}

// label is a unit as a row has it: of s/base-tree, "base tree, s". What is per
// operation, such as ns/op, stays.
func label(unit string) string {
	measure, of, found := strings.Cut(unit, "/")
	if !found || of == "op" {
		return unit
	}
	return words(of) + ", " + measure
}

func words(name string) string { return strings.ReplaceAll(name, "-", " ") }
