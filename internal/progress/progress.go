// Package progress shows long work as it goes: a bar on a terminal, a line a
// stage elsewhere, and a table of what each stage took at the end.
package progress

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
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

	began time.Time
	mu    sync.Mutex
	now   []string // several stages may run side by side
	done  []Stage
}

// Stage is a finished stage: how long it took and the size of its output.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Made
}

// Made is the output of a stage.
type Made struct {
	Bytes  int64 `json:"bytes"`            // on the disk
	Cached bool  `json:"cached,omitempty"` // it was there already
}

// New starts following total stages on out.
func New(out *os.File, total int) *Stages {
	s := &Stages{out: out, began: time.Now()}
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
	return strings.Join(s.now, ", ")
}

// Run runs one stage.
func (s *Stages) Run(name string, f func() (Made, error)) error {
	s.mu.Lock()
	s.now = append(s.now, name)
	if s.bar == nil {
		fmt.Fprintf(s.out, "%s ...\n", name)
	}
	s.mu.Unlock()
	start := time.Now()
	made, err := f()
	took := time.Since(start)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = slices.DeleteFunc(s.now, func(n string) bool { return n == name })
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.done = append(s.done, Stage{name, took.Seconds(), made})
	switch {
	case s.bar != nil:
		s.bar.Increment()
	case made.Cached:
		fmt.Fprintf(s.out, "%s: %.1f s, cached\n", name, took.Seconds())
	default:
		fmt.Fprintf(s.out, "%s: %.1f s, %s\n", name, took.Seconds(), Bytes(made.Bytes))
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

// Done is the stages that were run, in the order of their ends.
func (s *Stages) Done() []Stage { return s.done }

// Table prints what each stage took and made, and what all took from the call of
// [New] on.
func (s *Stages) Table() error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stage\tseconds\tbytes\t")
	for _, d := range s.done {
		name := d.Name
		if d.Cached {
			name += " (cached)"
		}
		fmt.Fprintf(w, "%s\t%.1f\t%d\t\n", name, d.Seconds, d.Bytes)
	}
	fmt.Fprintf(w, "total\t%.1f\t\t\n", time.Since(s.began).Seconds())
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
