// Package slot knows what the slots of a disk hold and what GRUB makes of them,
// from GRUB's files on the ESP, and changes what a person may change there.
package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"banyan/internal/grubenv"
)

// Slot is a place for an image on the disk, and what is in it.
type Slot struct {
	Name      string   `json:"slot"`
	Version   string   `json:"version"`
	Profile   string   `json:"profile"`
	Arguments []string `json:"arguments"` // the kernel gets these besides the image's own
	Bootable  bool     `json:"bootable"`  // GRUB offers it
	Booted    bool     `json:"booted"`
	Default   bool     `json:"default"` // GRUB boots it by itself
}

// ESP is the directory that the ESP is mounted on.
type ESP string

// names are the slots of a disk. Where nothing else is said, GRUB boots the
// first of them that it can.
var names = []string{"a", "b"}

func (e ESP) file(name ...string) string {
	return filepath.Join(append([]string{string(e), "banyan"}, name...)...)
}

// List lists the slots; booted is the name of the one that runs.
func (e ESP) List(booted string) ([]Slot, error) {
	choice, err := read(e.file("grubenv"))
	if err != nil {
		return nil, err
	}
	var slots []Slot
	for _, name := range names {
		env, err := read(e.file(name, "grubenv"))
		if err != nil {
			return nil, err
		}
		bootable, err := e.bootable(name)
		if err != nil {
			return nil, err
		}
		slots = append(slots, Slot{Name: name, Version: env.Get("version"), Profile: env.Get("profile"),
			Arguments: strings.Fields(env.Get("arguments")), Bootable: bootable, Booted: name == booted})
	}
	chosen := slices.IndexFunc(slots, func(s Slot) bool { return s.Bootable && s.Name == choice.Get("slot") })
	if chosen < 0 {
		chosen = slices.IndexFunc(slots, func(s Slot) bool { return s.Bootable })
	}
	if chosen >= 0 {
		slots[chosen].Default = true
	}
	return slots, nil
}

// read reads an environment block. One that is missing or damaged says nothing
// to GRUB either.
func read(file string) (grubenv.Block, error) {
	b, err := grubenv.Read(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, grubenv.ErrDamaged) {
		return nil, nil
	}
	return b, err
}

// bootable says whether GRUB offers a slot, by what grub.cfg asks for.
func (e ESP) bootable(name string) (bool, error) {
	for _, file := range []string{"vmlinuz", "initrd.img", "grub.cfg"} {
		info, err := os.Stat(e.file(name, file))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if info.Size() == 0 {
			return false, nil
		}
	}
	return true, nil
}

// check refuses a slot that is none, or that GRUB would not boot.
func (e ESP) check(name string) error {
	if !slices.Contains(names, name) {
		return fmt.Errorf("no slot %q; there are: %s", name, strings.Join(names, ", "))
	}
	bootable, err := e.bootable(name)
	if err == nil && !bootable {
		err = fmt.Errorf("slot %s holds no image that could be booted", name)
	}
	return err
}

// SetDefault makes a slot the one that GRUB boots by itself.
func (e ESP) SetDefault(name string) error {
	if err := e.check(name); err != nil {
		return err
	}
	return grubenv.Update(e.file("grubenv"), grubenv.Variable{Name: "slot", Value: name})
}

// SetArguments sets what the kernel of a slot is told besides the image's own
// arguments, instead of what it was told so far.
func (e ESP) SetArguments(name string, arguments []string) error {
	if err := e.check(name); err != nil {
		return err
	}
	var errs []error
	for _, a := range arguments {
		errs = append(errs, checkArgument(a))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	err := grubenv.Update(e.file(name, "grubenv"), grubenv.Variable{Name: "arguments", Value: strings.Join(arguments, " ")})
	if err != nil {
		return fmt.Errorf("the extra kernel arguments of slot %s: %w", name, err)
	}
	return nil
}

// Arguments is what the kernel of a slot is told besides the image's own arguments.
func (e ESP) Arguments(name string) ([]string, error) {
	env, err := read(e.file(name, "grubenv"))
	return strings.Fields(env.Get("arguments")), err
}

// checkArgument refuses what GRUB or the kernel would take for something else,
// and what says which disk and slot are booted.
func checkArgument(a string) error {
	refuse := func(why string) error { return fmt.Errorf("kernel argument %q: %s", a, why) }
	for _, r := range a {
		if r <= ' ' || r > '~' || strings.ContainsRune("\"'\\", r) {
			return refuse("it may hold no space, no quote, no backslash and ASCII alone")
		}
	}
	// GRUB looks for files that match an argument such as /* or (hd0)/*.
	if a == "" || !isLetterOrDigit(a[0]) {
		return refuse("it must begin with a letter or a digit")
	}
	parameter, _, _ := strings.Cut(a, "=")
	if parameter == "root" || parameter == "boot" || strings.HasPrefix(parameter, "banyan.") {
		return refuse("this is for the image to say")
	}
	return nil
}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// Table shows slots to a person.
func Table(slots []Slot) string {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SLOT\tVERSION\tPROFILE\tSTATE\tARGUMENTS")
	for _, s := range slots {
		var state []string
		for word, holds := range map[string]bool{"booted": s.Booted, "default": s.Default, "not bootable": !s.Bootable} {
			if holds {
				state = append(state, word)
			}
		}
		slices.Sort(state)
		cells := []string{s.Name, s.Version, s.Profile, strings.Join(state, ", "), strings.Join(s.Arguments, " ")}
		for i, cell := range cells {
			if cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush() // nothing fails in memory
	return table.String()
}
