package status

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"banyan/internal/console"
)

// The screen of a physical console, less some room for the login prompt.
const (
	maxColumns = 78
	maxLines   = 20
)

// Screen is as much of a summary as fits a screen.
func Screen(summary string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(summary, "\n"), "\n")
	if len(lines) <= maxLines {
		return summary
	}
	kept := lines[:maxLines-1]
	return strings.Join(kept, "") + fmt.Sprintf("  ... and %d lines more, further up\n", len(lines)-len(kept))
}

// Summary is what the console shows, in lines of at most 78 columns: the whole
// of it, which is more than a screen where much is wrong. The first line of a
// node that is done and serves is "banyan: NODE is ready".
func Summary(r Report, live Live) string {
	var p page
	name := r.Node
	if name == "" {
		name = "this machine"
	}
	switch {
	case r.State == Waiting:
		p.line("banyan: waiting for a seed")
		p.sources(r)
		p.line("Put seed.yaml on the partition BANYAN, or on a stick labelled BANYAN-SEED.")
	case r.State == Failed:
		p.line("banyan: " + name + " failed")
		p.identity(r)
		p.failures(r)
	case r.State == Running:
		p.line("banyan: " + name + " is being set up")
		p.identity(r)
		p.progress(r)
	case Evaluate(r, live) == ExitDone:
		p.line("banyan: " + name + " is ready")
		p.identity(r)
		p.services(r, live)
	default:
		p.line("banyan: " + name + " is degraded")
		p.identity(r)
		p.services(r, live)
	}
	return strings.Join(p.lines, "\n") + "\n"
}

// page is a summary in the making.
type page struct{ lines []string }

// line adds a line.
func (p *page) line(s string) { p.lines = append(p.lines, cut(console.Printable(s), maxColumns)) }

// row puts a text beside its label, or below one that is too long, on as many
// lines as it needs.
func (p *page) row(label, text string) {
	const indent = 14
	if utf8.RuneCountInString(label) > indent-3 {
		p.line("  " + label)
		label = ""
	}
	for i, l := range fold(text, maxColumns-indent) {
		if i > 0 {
			label = ""
		}
		p.line(fmt.Sprintf("  %-*s%s", indent-2, label, l))
	}
}

func (p *page) identity(r Report) {
	if r.Cluster != "" {
		p.row("cluster", r.Cluster)
	}
	if r.Address != "" {
		p.row("address", r.Address)
	}
	if len(r.Unapplied) > 0 {
		p.row("not applied", strings.Join(r.Unapplied, ", ")+": for a later Patroni")
	}
	if r.Seed != "" {
		p.row("seed", r.Seed)
	}
}

func (p *page) services(r Report, live Live) {
	switch s := live.Patroni; {
	case r.PatroniPort == 0:
	case live.PatroniError != "":
		p.row("PostgreSQL", "unknown, since Patroni does not answer: "+live.PatroniError)
		p.row("", "see journalctl -b -u patroni")
	case s.Leads():
		p.row("PostgreSQL", fmt.Sprintf("%s, leader, timeline %d", s.PostgreSQL(), s.Timeline))
	case s.Follows():
		p.row("PostgreSQL", fmt.Sprintf("%s, replica, timeline %d", s.PostgreSQL(), s.Timeline))
	default:
		p.row("PostgreSQL", fmt.Sprintf("%s, role %s; see journalctl -b -u patroni", s.State, s.Role))
	}
	if live.Patroni.Pause {
		p.row("Patroni", "paused: nothing fails over; see patronictl resume")
	}
	switch {
	case !r.EtcdMember:
	case live.EtcdError == "":
		p.row("etcd", "healthy")
	default:
		p.row("etcd", live.EtcdError)
		p.row("", "see journalctl -b -u etcd")
	}
	p.access(r, live.serves(r))
}

func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func (p *page) progress(r Report) {
	var done []string
	for _, s := range r.Steps {
		if s.State == Done {
			done = append(done, s.Name)
		}
	}
	if len(done) > 0 {
		p.row("done", strings.Join(done, ", "))
	}
	if s := r.open(); s != nil {
		p.row("now", strings.TrimSuffix(s.Name+": "+s.Message, ": "))
	}
}

func (p *page) failures(r Report) {
	for _, s := range r.Steps {
		if s.State == Failed {
			p.row(s.Name, s.Error)
			p.row("", "see "+s.Look)
		}
	}
	p.row("try again", "systemctl restart banyan-firstboot, or reboot")
}

func (p *page) sources(r Report) {
	for _, o := range r.Sources {
		said := strings.TrimSuffix(o.Source+": "+o.Reason, ": ")
		if o.Found {
			said = strings.TrimSuffix(o.Source+": planted; "+o.Reason, "; ")
		}
		for i, l := range fold(said, maxColumns-4) {
			if i > 0 {
				l = "  " + l
			}
			p.line("  " + l)
		}
	}
}

// Sources is where a seed was looked for in this boot and what was found, for a node
// that is planted: what waits for one has it in its summary.
func Sources(r Report) string {
	if r.State == Waiting || len(r.Sources) == 0 {
		return ""
	}
	var p page
	p.line("seeds, in the order of their places")
	p.sources(r)
	return strings.Join(p.lines, "\n") + "\n"
}

// fold breaks text into lines of at most width columns: at spaces, but what
// begins with a space is laid out already, such as a caret below its line, and
// is cut.
func fold(text string, width int) []string {
	var lines []string
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(l, " ") {
			lines = append(lines, cut(l, width))
			continue
		}
		line := ""
		for word := range strings.FieldsSeq(l) {
			if line != "" && utf8.RuneCountInString(line+" "+word) > width {
				lines = append(lines, line)
				line = ""
			}
			line = cut(strings.TrimSpace(line+" "+word), width)
		}
		lines = append(lines, line)
	}
	return lines
}

// cut shortens what is wider than width columns.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-3]) + "..."
}
