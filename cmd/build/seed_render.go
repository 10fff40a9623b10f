package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"banyan/internal/cli"
	"banyan/internal/diff"
	"banyan/internal/node"
	"banyan/rootfs"
	"banyan/seeds"
)

// printNode shows what the node renders, or writes it.
func (o seedCheck) printNode(c checked, p *rootfs.Profile) error {
	shown, err := node.Preview(c.seed, o.node, machineOf(p))
	switch {
	case err != nil:
		return err
	case o.output != "":
		return writeShown(shown, o.output)
	case o.json:
		return cli.JSON(shown)
	}
	fmt.Print(node.Text(shown))
	return nil
}

// writeShown writes files, directories and links below a directory that is new, as
// their owner this user.
func writeShown(shown []node.Shown, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, s := range shown {
		path := filepath.Join(dir, s.Name)
		var write func() error
		switch {
		case s.IsFile():
			write = func() error { return os.WriteFile(path, []byte(s.Content), os.FileMode(s.Mode)) }
		case s.Kind == "directory":
			write = func() error { return os.MkdirAll(path, os.FileMode(s.Mode)) }
		case s.Kind == "symlink":
			write = func() error { return os.Symlink(s.Target, path) }
		default:
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// printDiff shows what differs between two seeds, or in what a node renders of them.
func (o seedCheck) printDiff(ctx context.Context, from, to checked, p *rootfs.Profile) error {
	if o.node != "" {
		return o.printFileDiff(ctx, from, to, p)
	}
	differences := seeds.Diff(from.seed, to.seed)
	if o.json {
		if differences == nil {
			differences = []seeds.Difference{}
		}
		return cli.JSON(differences)
	}
	for _, d := range differences {
		where := ""
		if len(d.Nodes) == len(to.seed.Nodes) && len(d.Nodes) > 1 {
			where = "all nodes: "
		} else if len(d.Nodes) > 0 {
			where = strings.Join(d.Nodes, ", ") + ": "
		}
		fmt.Printf("%s%s: %s\n", where, d.Path, d.Change())
	}
	return nil
}

// fileDiff is how one of a node's resources differs.
type fileDiff struct {
	Name string `json:"name"`
	Diff string `json:"diff"` // unified
}

func (o seedCheck) printFileDiff(ctx context.Context, from, to checked, p *rootfs.Profile) error {
	was, err := node.Preview(from.seed, o.node, machineOf(p))
	if err != nil {
		return fmt.Errorf("%s: %w", from.File, err)
	}
	is, err := node.Preview(to.seed, o.node, machineOf(p))
	if err != nil {
		return fmt.Errorf("%s: %w", to.File, err)
	}
	differences := []fileDiff{}
	for _, s := range append(slices.Clone(is), was...) {
		if slices.ContainsFunc(differences, func(d fileDiff) bool { return d.Name == s.Name }) {
			continue
		}
		d, err := diff.Unified(ctx, from.File+" "+s.Name, to.File+" "+s.Name, textOf(was, s.Name), textOf(is, s.Name))
		if err != nil {
			return err
		}
		if d != "" {
			differences = append(differences, fileDiff{s.Name, d})
		}
	}
	if o.json {
		return cli.JSON(differences)
	}
	for _, d := range differences {
		fmt.Print(d.Diff)
	}
	return nil
}

// textOf is the resource of that name as text, or "" where there is none.
func textOf(shown []node.Shown, name string) string {
	for _, s := range shown {
		switch {
		case s.Name == name && s.IsFile():
			return s.Content
		case s.Name == name:
			return s.String()
		}
	}
	return ""
}
