package ansible

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Report is what became of each variable. It shows no value that may be a secret.
type Report struct {
	// Missing is what keeps the cluster file from being written. Where there is any, the
	// other lists are empty.
	Missing []Entry `json:"missing,omitempty"`
	// Needed is what the file still wants from a person.
	Needed []Entry `json:"needed,omitempty"`
	// Changed is what the file says otherwise than the variable.
	Changed []Entry `json:"changed,omitempty"`
	// Taken is what the file says just so.
	Taken []Entry `json:"taken,omitempty"`
	// None is what has no counterpart in a seed.
	None []Entry `json:"none,omitempty"`
}

// Entry is a line of a report.
type Entry struct {
	// Variable is its name, such as dnscp.ttl; it is empty for what no variable says.
	Variable string `json:"variable,omitempty"`
	// Place is where it is written, such as main.yml:12.
	Place string `json:"place,omitempty"`
	// Key is that of the cluster file, such as dns.ttl.
	Key string `json:"key,omitempty"`
	// Note is what a person should know or do.
	Note string `json:"note,omitempty"`

	at place
}

// Print writes the report for a console.
func (r Report) Print(out io.Writer) error {
	for _, part := range []struct {
		title   string
		entries []Entry
	}{
		{"Missing: nothing was written", r.Missing},
		{"Taken over", r.Taken},
		{"Changed", r.Changed},
		{"No counterpart", r.None},
		{"Needs you", r.Needed}, // last, where the eye rests
	} {
		if len(part.entries) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(out, "%s:\n", part.title); err != nil {
			return err
		}
		var widths [3]int
		for _, e := range part.entries {
			for i, cell := range [...]string{e.Variable, e.Place, e.Key} {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
		for _, e := range part.entries {
			var line strings.Builder
			line.WriteString("  ")
			for i, cell := range [...]string{e.Variable, e.Place, e.Key} {
				if widths[i] > 0 {
					fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
				}
			}
			if _, err := fmt.Fprintln(out, strings.TrimRight(line.String()+e.Note, " ")); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(out); err != nil {
			return err
		}
	}
	return nil
}

// sort puts each list into the order of the files.
func (r *Report) sort(files []string) {
	for _, entries := range [][]Entry{r.Missing, r.Needed, r.Changed, r.Taken, r.None} {
		slices.SortStableFunc(entries, func(a, b Entry) int {
			return cmp.Or(cmp.Compare(rank(files, a.at.file), rank(files, b.at.file)), cmp.Compare(a.at.line, b.at.line))
		})
	}
}

// rank puts what no file says at the end.
func rank(files []string, name string) int {
	if i := slices.Index(files, name); i >= 0 {
		return i
	}
	return len(files)
}
