package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"banyan/internal/command"
	"banyan/internal/durable"
	"banyan/internal/facts"
)

// NFTable is a table of nftables, and the file that loads it at boot. No other table is
// touched, and it is replaced in one step: nft(8).
//
// A table that would keep out who is logged in over Door right now is not loaded, now
// and at the next boots: it is kept as refused, and the last one that was loaded stays.
type NFTable struct {
	Family, Name string
	Path         string
	Content      string // of the file: it makes the table anew, whether it is there or not
	Door         netip.AddrPort
}

// The table that was loaded last, and the one that was refused since.
const (
	loadedTable  = facts.StateDir + "/firewall/loaded.nft"
	refusedTable = facts.StateDir + "/firewall/refused.nft"
)

// ID is the file's path.
func (t NFTable) ID() string { return t.Path }

func (t NFTable) file(content string) File {
	return File{Path: t.Path, Mode: 0o644, Content: content}
}

// Diff compares the file and, on a live machine, what the kernel has with what it would
// have of this content, by nft's own words.
func (t NFTable) Diff(ctx context.Context, m Machine, changed Changed) (Difference, error) {
	refused, err := readIfThere(m.path(refusedTable))
	if err != nil {
		return Difference{}, err
	}
	if !m.Live {
		content, err := t.atBoot(m, refused)
		if err != nil {
			return Difference{}, err
		}
		return t.file(content).Diff(ctx, m, changed)
	}
	if refused == t.Content {
		return Difference{}, fmt.Errorf("this table was refused, since it would have kept out who was logged in; the earlier one stays. "+
			"Change firewall in the seed, or remove %s once nobody is logged in from there any more", refusedTable)
	}
	now, err := t.loaded(ctx)
	if err != nil {
		return Difference{}, err
	}
	want, err := t.rehearsed(ctx)
	if err != nil {
		return Difference{}, err
	}
	d, err := t.file(t.Content).Diff(ctx, m, changed)
	if err == nil && d == (Difference{}) && now != want {
		d = Difference{What: "load", File: true, From: now, To: want}
	}
	return d, err
}

// atBoot is the content that the next boot loads: not one that was refused, where there
// is another.
func (t NFTable) atBoot(m Machine, refused string) (string, error) {
	if refused != t.Content {
		return t.Content, nil
	}
	before, err := readIfThere(m.path(loadedTable))
	if before == "" {
		before = t.Content
	}
	return before, err
}

// Apply checks the table, tries whether it lets in who is in, loads it and writes the file.
func (t NFTable) Apply(ctx context.Context, m Machine, changed Changed) error {
	if !m.Live {
		refused, err := readIfThere(m.path(refusedTable))
		if err != nil {
			return err
		}
		content, err := t.atBoot(m, refused)
		if err != nil {
			return err
		}
		return t.file(content).Apply(ctx, m, changed)
	}
	if _, err := nft(ctx, t.Content, "--check", "--file", "-"); err != nil {
		return err
	}
	if err := t.keepDoorOpen(ctx, m); err != nil {
		return err
	}
	if _, err := nft(ctx, t.Content, "--file", "-"); err != nil {
		return err
	}
	if err := t.file(t.Content).Apply(ctx, m, changed); err != nil {
		return err
	}
	if err := keep(m, loadedTable, t.Content); err != nil {
		return err
	}
	return durable.Remove(m.path(refusedTable))
}

// keepDoorOpen refuses a table that would keep out an address from which somebody is
// logged in now.
func (t NFTable) keepDoorOpen(ctx context.Context, m Machine) error {
	guests, err := guests(ctx, t.Door.Port())
	if err != nil {
		return err
	}
	for _, guest := range guests {
		open, err := letsIn(ctx, t.Content, guest, t.Door)
		if err != nil {
			return fmt.Errorf("try whether %s would be let in: %w", guest, err)
		}
		if !open {
			if err := keep(m, refusedTable, t.Content); err != nil {
				return err
			}
			return fmt.Errorf("refused: it would keep out %s, from where somebody is logged in now (port %d); the earlier table stays", guest, t.Door.Port())
		}
	}
	return nil
}

// loaded is what the kernel has of the table, or "".
func (t NFTable) loaded(ctx context.Context) (string, error) {
	all, err := nft(ctx, "", "--stateless", "list", "ruleset", t.Family)
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
func (t NFTable) rehearsed(ctx context.Context) (listing string, err error) {
	err = inNewNetwork(func() error {
		if _, err := nft(ctx, t.Content, "--file", "-"); err != nil {
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

// keep writes a file of state, and makes its directory.
func keep(m Machine, path, content string) error {
	path = m.path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
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
