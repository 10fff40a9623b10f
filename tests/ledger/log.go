// Package ledger is a client of PostgreSQL that misses nothing: it writes numbered rows,
// one after the other, notes each that was acknowledged, and tells afterwards for how
// long there was no service and which of those rows are gone.
package ledger

import "time"

// Commit is a row that PostgreSQL acknowledged.
type Commit struct {
	Number int64
	Sent   time.Time
	At     time.Time // of the acknowledgement
}

// Log is what was acknowledged, in order.
type Log []Commit

// Lost are the numbers of the acknowledged rows that are not among rows, in order. More
// rows may be there: what was written and never acknowledged.
func (l Log) Lost(rows []int64) []int64 {
	there := make(map[int64]bool, len(rows))
	for _, number := range rows {
		there[number] = true
	}
	var lost []int64
	for _, c := range l {
		if !there[c.Number] {
			lost = append(lost, c.Number)
		}
	}
	return lost
}

// Outage is the longest time without an acknowledgement after something happened. It
// counts from the last acknowledgement before that; until is the end of what is looked at.
func (l Log) Outage(happened, until time.Time) time.Duration {
	last := happened
	var longest time.Duration
	for _, c := range l {
		switch {
		case !c.At.After(happened):
			last = c.At
		case c.At.Before(until):
			longest = max(longest, c.At.Sub(last))
			last = c.At
		}
	}
	return max(longest, until.Sub(last))
}
