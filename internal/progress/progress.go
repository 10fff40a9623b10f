// Package progress shows long work as it goes: a bar on a terminal, a line a
// stage elsewhere, and a table of what each stage took at the end.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// Stages follows work that is done in a known number of stages.
type Stages struct {
	out  io.Writer
	bar  *mpb.Bar // nil where there is no terminal
	bars *mpb.Progress

	mu   sync.Mutex
	now  string
	done []stage
}

type stage struct {
	name  string
	took  time.Duration
	bytes int64
}

// New starts following total stages on out.
func New(out *os.File, total int) *Stages {
	s := &Stages{out: out}
	// A serial console of unknown size is a terminal that a bar cannot be drawn on.
	if width, height, err := term.GetSize(int(out.Fd())); err == nil && width > 0 && height > 0 {
		s.bars = mpb.New(mpb.WithOutput(out), mpb.WithAutoRefresh())
		s.bar = s.bars.AddBar(int64(total),
			mpb.PrependDecorators(decor.CountersNoUnit("%d/%d "), decor.Any(func(decor.Statistics) string { return s.current() }, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_MMSS)))
	}
	return s
}

func (s *Stages) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Run runs one stage. f returns the size in bytes of what it made.
func (s *Stages) Run(name string, f func() (int64, error)) error {
	s.mu.Lock()
	s.now = name
	s.mu.Unlock()
	if s.bar == nil {
		fmt.Fprintf(s.out, "%s ...\n", name)
	}
	start := time.Now()
	bytes, err := f()
	took := time.Since(start)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.mu.Lock()
	s.done = append(s.done, stage{name, took, bytes})
	s.mu.Unlock()
	if s.bar == nil {
		fmt.Fprintf(s.out, "%s: %.1f s, %s\n", name, took.Seconds(), Bytes(bytes))
	} else {
		s.bar.Increment()
	}
	return nil
}

// Close ends the bar. It is to be called whether or not every stage was run.
func (s *Stages) Close() {
	if s.bar != nil {
		s.bar.Abort(true)
		s.bars.Wait()
	}
}

// Table prints what each stage took and made.
func (s *Stages) Table() error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stage\tseconds\tbytes\t")
	var total time.Duration
	for _, d := range s.done {
		total += d.took
		fmt.Fprintf(w, "%s\t%.1f\t%d\t\n", d.name, d.took.Seconds(), d.bytes)
	}
	fmt.Fprintf(w, "total\t%.1f\t\t\n", total.Seconds())
	return w.Flush()
}

// Bytes writes a size for a person.
func Bytes(n int64) string {
	const unit = 1024
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/unit/unit)
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/unit/unit/unit)
}
