package strict

import (
	"fmt"
	"strings"
)

// OneOf says, after a value that was given, what is known instead.
func OneOf(given string, known []string) string {
	if meant := Nearest(given, known); meant != "" {
		return fmt.Sprintf(", did you mean %q?", meant)
	}
	return ": known here are " + strings.Join(known, ", ")
}

// Nearest is the one of names that was probably meant by the mistyped one, or ""
// where none is near.
func Nearest(typed string, names []string) string {
	if !IsKey(typed) {
		return ""
	}
	plain := strings.NewReplacer("-", "", "_", "").Replace
	best, least := "", max(1, len(typed)/3)+1
	for _, name := range names {
		d := distance(strings.ToLower(typed), strings.ToLower(name))
		if strings.EqualFold(plain(typed), plain(name)) {
			d = 0
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(last[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
