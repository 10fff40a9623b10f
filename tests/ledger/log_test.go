package ledger

import (
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// at is a log with acknowledgements so many seconds after noon; its rows count from 1.
func at(seconds ...int) Log {
	var l Log
	for i, s := range seconds {
		moment := noon.Add(time.Duration(s) * time.Second)
		l = append(l, Commit{Number: int64(i + 1), Sent: moment, At: moment})
	}
	return l
}

func TestLost(t *testing.T) {
	for _, test := range []struct {
		rows, lost []int64
	}{
		{[]int64{1, 2, 3}, nil},
		{[]int64{3, 1, 2, 4}, nil}, // the last was not acknowledged
		{[]int64{1, 3}, []int64{2}},
		{nil, []int64{1, 2, 3}},
	} {
		if got := at(1, 2, 3).Lost(test.rows); !slices.Equal(got, test.lost) {
			t.Errorf("of the rows 1 to 3, where there are %v, %v are lost, want %v", test.rows, got, test.lost)
		}
	}
}

func TestOutage(t *testing.T) {
	for _, test := range []struct {
		log                    Log
		happened, until, while int
	}{
		{at(10, 20, 50, 60), 25, 65, 30},
		{at(10, 20, 50, 60), 20, 65, 30},
		{at(10, 45, 50, 60), 48, 65, 10}, // what was before is over
		{at(10, 20, 25, 60), 22, 65, 35}, // it went on at first
		{at(10, 20), 25, 100, 80},        // the service never came back
		{at(10, 20, 90), 25, 50, 30},
		{at(30, 31), 5, 32, 25},
		{nil, 25, 100, 75},
	} {
		moment := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
		if got := test.log.Outage(moment(test.happened), moment(test.until)); got != time.Duration(test.while)*time.Second {
			t.Errorf("%v: what happened after %d s makes an outage of %v up to %d s, want %d s", test.log, test.happened, got, test.until, test.while)
		}
	}
}
