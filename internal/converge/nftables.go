package converge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"banyan/internal/command"
	"banyan/internal/durable"
	"banyan/internal/facts"
)

// NFTable is a table of nftables, and the file that loads it at boot. No other table is
// touched, and it is replaced in one step: nft(8).
//
// A table that would keep out who is logged in right now is not loaded, now and at the next
// boots: it is kept as refused. The next boot loads the table that was loaded last, and
// so never one that nft does not take, or that was not tried.
type NFTable struct {
	Family, Name string
	Path         string
	Content      string // of the file: it makes the table anew, whether it is there or not
	Fallback     string // is loaded where nothing was loaded yet and nft does not take Content
	Door         uint16 // the port of TCP that one logs in by
	With         string // content of the TableFile that fits the table
}

// TableFile is a file that has to fit the table of nftables, as that with the port of sshd
// does. It follows its table: what the next boot loads is an older table with an older file.
type TableFile struct {
	File
	Table string // the ID of the table
}

// Diff compares the file with what fits the table that was loaded last. Before a table that
// was refused there is none, and the file is left alone.
func (f TableFile) Diff(ctx context.Context, m Machine, changed Changed) (Difference, error) {
	kept, err := recall(m)
	if err != nil || kept.loaded == "" && kept.refused != "" {
		return Difference{}, err
	}
	return f.fitting(m, kept, changed).Diff(ctx, m, changed)
}

// Apply writes it.
func (f TableFile) Apply(ctx context.Context, m Machine, changed Changed) error {
	kept, err := recall(m)
	if err != nil {
		return err
	}
	return f.fitting(m, kept, changed).Apply(ctx, m, changed)
}

// fitting is the file as it fits the table that was loaded last, or that a live run has
// loaded or, where it only compares, would load. Off line nothing is loaded.
func (f TableFile) fitting(m Machine, kept memory, changed Changed) File {
	if kept.loaded != "" && (!m.Live || !changed[f.Table]) {
		f.Content = kept.with
	}
	return f.File
}

// The table that was loaded last, and the one that was refused since. What fits the first
// is in a comment at its head: one file is old or new as a whole.
const (
	loadedTable  = facts.StateDir + "/firewall/loaded.nft"
	refusedTable = facts.StateDir + "/firewall/refused.nft"
	headComment  = "# with "
)

// ID is the file's path.
func (t NFTable) ID() string { return t.Path }

func (t NFTable) file(content string) File {
	return File{Path: t.Path, Mode: 0o644, Content: content}
}

// memory is what is kept of a table from run to run.
type memory struct{ loaded, with, refused string }

func recall(m Machine) (memory, error) {
	loaded, err := readIfThere(m.path(loadedTable))
	refused, err2 := readIfThere(m.path(refusedTable))
	if err := errors.Join(err, err2); err != nil || loaded == "" {
		return memory{refused: refused}, err
	}
	head, loaded, _ := strings.Cut(loaded, "\n")
	with, err := strconv.Unquote(strings.TrimPrefix(head, headComment))
	if err != nil { // it is damaged: better the fallback than none
		return memory{refused: refused}, nil //nolint:nilerr // as if nothing had been loaded yet
	}
	return memory{loaded, with, refused}, nil
}

var errRefused = fmt.Errorf("this table was refused, since it would have kept out who was logged in; the earlier one stays. "+
	"Change firewall in the seed, or log out there and remove %s to have it tried again", refusedTable)

// Diff compares the file and, on a live machine, what the kernel has with what it would
// have of this content, by nft's own words.
func (t NFTable) Diff(ctx context.Context, m Machine, changed Changed) (Difference, error) {
	kept, err := recall(m)
	if err != nil {
		return Difference{}, err
	}
	if !m.Live {
		return t.atBoot(kept).Diff(ctx, m, changed)
	}
	if kept.refused == t.Content {
		return Difference{}, errRefused
	}
	now, err := t.loaded(ctx)
	if err != nil {
		return Difference{}, err
	}
	want, err := t.rehearsed(ctx, t.Content)
	if err != nil {
		if kept.loaded == "" { // Apply says why, and loads what it can
			return Difference{What: "load without the rules that nft does not take"}, nil
		}
		return Difference{}, err
	}
	d, err := t.file(t.Content).Diff(ctx, m, changed)
	if err != nil || d != (Difference{}) {
		return d, err
	}
	switch {
	case now != want:
		d = Difference{What: "load", File: true, From: now, To: want}
	case kept != memory{loaded: t.Content, with: t.With}:
		d.What = "remember as the one that was loaded last"
	}
	return d, nil
}

// atBoot is the table that the next boot loads.
func (t NFTable) atBoot(kept memory) File { return t.file(cmp.Or(kept.loaded, t.Fallback)) }

// Apply checks the table, tries whether it lets in who is in, loads it and writes the
// file. What is loaded already is not loaded again.
func (t NFTable) Apply(ctx context.Context, m Machine, changed Changed) error {
	kept, err := recall(m)
	if err != nil {
		return err
	}
	if !m.Live {
		return t.atBoot(kept).Apply(ctx, m, changed)
	}
	now, err := t.loaded(ctx)
	if err != nil {
		return err
	}
	want, err := t.rehearsed(ctx, t.Content)
	if err != nil {
		if kept.loaded == "" {
			return errors.Join(err, t.fallBack(ctx, m, changed))
		}
		return err
	}
	if now != want {
		if err := t.load(ctx, m); err != nil {
			return err
		}
	}
	return t.settle(ctx, m, changed)
}

// fallBack loads the table without what nft does not take: better than none.
func (t NFTable) fallBack(ctx context.Context, m Machine, changed Changed) error {
	t.Content = t.Fallback
	if err := t.load(ctx, m); err != nil {
		return err
	}
	return t.settle(ctx, m, changed)
}

// settle writes what the next boot loads, and remembers it.
func (t NFTable) settle(ctx context.Context, m Machine, changed Changed) error {
	if err := t.file(t.Content).Apply(ctx, m, changed); err != nil {
		return err
	}
	if err := keep(m, loadedTable, headComment+strconv.Quote(t.With)+"\n"+t.Content); err != nil {
		return err
	}
	return durable.Remove(m.path(refusedTable))
}

// load has the kernel take the table, unless that would keep somebody out.
func (t NFTable) load(ctx context.Context, m Machine) error {
	if _, err := nft(ctx, t.Content, "--check", "--file", "-"); err != nil {
		return err
	}
	if err := t.keepDoorOpen(ctx, m); err != nil {
		return err
	}
	_, err := nft(ctx, t.Content, "--file", "-")
	return err
}

// keepDoorOpen refuses a table that would keep out who is connected to the door now.
func (t NFTable) keepDoorOpen(ctx context.Context, m Machine) error {
	guests, err := guests(ctx, t.Door)
	if err != nil {
		return err
	}
	for _, guest := range guests {
		open := false
		for tries := 0; tries < 2 && !open; tries++ { // a machine that is busy may be late once
			if open, err = letsIn(ctx, t.Content, guest, t.Door); err != nil {
				return fmt.Errorf("try whether %s would be let in: %w", guest.addr, err)
			}
		}
		if !open {
			if err := keep(m, refusedTable, t.Content); err != nil {
				return err
			}
			return fmt.Errorf("refused: it would keep out %s, from where somebody is logged in now (port %d); the earlier table stays", guest.addr, t.Door)
		}
	}
	return nil
}

// loaded is what the kernel has of the table, or "", without what it has counted or met.
func (t NFTable) loaded(ctx context.Context) (string, error) {
	all, err := nft(ctx, "", "--stateless", "--terse", "list", "ruleset", t.Family)
	if err != nil {
		return "", err
	}
	return t.in(all), nil
}

// in is the part of a listing that is of the table.
func (t NFTable) in(listing string) string {
	head := fmt.Sprintf("table %s %s {\n", t.Family, t.Name)
	_, body, found := strings.Cut("\n"+listing, "\n"+head)
	if !found {
		return ""
	}
	body, _, _ = strings.Cut(body, "\n}")
	return head + body + "\n}\n"
}

// rehearsed is what a kernel makes of the content: it is loaded into a network namespace
// of its own, where nobody is kept out of anything. A rule that names an interface by
// number (iif, oif) fails there, as it may at boot.
func (t NFTable) rehearsed(ctx context.Context, content string) (listing string, err error) {
	err = inNewNetwork(func() error {
		if _, err := nft(ctx, content, "--file", "-"); err != nil {
			return fmt.Errorf("%w; name interfaces by iifname and oifname, not by iif and oif", err)
		}
		listing, err = t.loaded(ctx)
		return err
	})
	return listing, err
}

// nft runs nft(8). Where this process may not change the firewall, that is a skip.
func nft(ctx context.Context, stdin string, args ...string) (string, error) {
	out, err := command.Command{Name: "nft", Args: args, Stdin: strings.NewReader(stdin), Env: []string{"LC_ALL=C"}}.Run(ctx)
	if err != nil && strings.Contains(err.Error(), "Operation not permitted") {
		return "", skip("this machine does not let its firewall be set: %v", err)
	}
	return out, err
}

// keep writes a file of state, and makes its directory, durably.
func keep(m Machine, path, content string) error {
	path = m.path(path)
	dir := filepath.Dir(path)
	if err := errors.Join(os.MkdirAll(dir, 0o700), durable.SyncDir(filepath.Dir(dir))); err != nil {
		return err
	}
	return durable.WriteFile(path, []byte(content), 0o600)
}

func readIfThere(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(content), err
}
