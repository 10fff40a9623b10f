// Package grubenv reads and changes GRUB's environment block, the file that
// load_env takes variables from; see "Environment block" in GRUB's manual.
//
// GRUB's own grub-editenv truncates the file and writes it anew, so that a power
// cut may leave an empty one. Here the file is written in place, and all that it
// says fits into its first sector, which a power cut leaves old or new.
package grubenv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"banyan/internal/durable"
)

const (
	header = "# GRUB Environment Block\n"
	size   = 1024 // of the file, as grub-editenv makes it
	sector = 512  // what a power cut leaves whole
)

// ErrDamaged is the error of a file that is no environment block. GRUB loads
// nothing from it.
var ErrDamaged = errors.New("not an environment block")

// Variable is a variable of GRUB's.
type Variable struct{ Name, Value string }

// Block is the variables of an environment block, in order, each once.
type Block []Variable

// Parse reads a block as GRUB's grub_envblk_iterate does: what is not a variable
// is passed over, and a variable without an end, with what follows, is not read.
func Parse(content []byte) (Block, error) {
	rest, ok := strings.CutPrefix(string(content), header)
	if !ok {
		return nil, ErrDamaged
	}
	var b Block
	for rest != "" {
		if rest[0] == '#' {
			_, rest, _ = cutLine(rest)
			continue
		}
		name, line, _ := strings.Cut(rest, "=")
		var value string
		if value, rest, ok = cutLine(line); !ok {
			break
		}
		value, _, _ = strings.Cut(value, "\x00") // where a string ends for GRUB
		if checkName(name) == nil {
			b.set(name, value)
		}
	}
	return b, nil
}

// cutLine cuts s after its first line and takes the backslashes that escape a
// character out of that. It returns false where the line has no end.
func cutLine(s string) (line, rest string, ok bool) {
	var unescaped strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\n':
			return unescaped.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		unescaped.WriteByte(s[i])
	}
	return unescaped.String(), "", false
}

// checkName refuses a name that would be read as something else.
func checkName(name string) error {
	if name == "" || name[0] == '#' || strings.ContainsAny(name, "=\\\n\x00") {
		return fmt.Errorf("%q is no name for a variable of GRUB's", name)
	}
	return nil
}

// Get is the value of a variable, which is empty where there is none.
func (b Block) Get(name string) string {
	for _, v := range b {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

func (b *Block) set(name, value string) {
	if i := slices.IndexFunc(*b, func(v Variable) bool { return v.Name == name }); i >= 0 {
		(*b)[i].Value = value
		return
	}
	*b = append(*b, Variable{name, value})
}

// Set gives b the variables and leaves its others as they are. It refuses, and
// changes nothing, where they do not fit.
func (b *Block) Set(variables ...Variable) error {
	next := slices.Clone(*b)
	for _, v := range variables {
		if err := checkName(v.Name); err != nil {
			return err
		}
		if strings.Contains(v.Value, "\x00") {
			return fmt.Errorf("%s has a zero byte in its value", v.Name)
		}
		next.set(v.Name, v.Value)
	}
	left, takes := sector-len(header), 0
	for _, v := range next {
		if slices.Contains(variables, v) {
			takes += len(v.line())
		} else {
			left -= len(v.line())
		}
	}
	if takes > left {
		return fmt.Errorf("this takes %d bytes of the environment block, of which %d are left: shorten it", takes, max(0, left))
	}
	*b = next
	return nil
}

var escape = strings.NewReplacer(`\`, `\\`, "\n", "\\\n")

func (v Variable) line() string { return v.Name + "=" + escape.Replace(v.Value) + "\n" }

// Format makes a file out of variables.
func Format(variables ...Variable) ([]byte, error) {
	var b Block
	if err := b.Set(variables...); err != nil {
		return nil, err
	}
	return b.format(), nil
}

func (b Block) format() []byte {
	content := bytes.NewBufferString(header)
	for _, v := range b {
		content.WriteString(v.line())
	}
	content.WriteString(strings.Repeat("#", size-content.Len()))
	return content.Bytes()
}

// Read reads the file of that name.
func Read(file string) (Block, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b, err := Parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

// Update sets variables in the file of that name. When it returns, they are on
// the disk; should the power fail before, the file says what it said or what it
// is to say. A damaged file, of which GRUB reads nothing either, begins anew, and
// one that is missing is made.
func Update(file string, variables ...Variable) error {
	b, err := Read(file)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err := b.Set(variables...); err != nil {
		return err
	}
	if err := overwrite(file, b.format()); err != nil || !missing {
		return err
	}
	return durable.SyncDir(filepath.Dir(file))
}

// overwrite writes a file without ever making it shorter.
func overwrite(file string, content []byte) (err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > size {
		return fmt.Errorf("%s has %d bytes and GRUB would read those after the first %d too: remove it", file, info.Size(), size)
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	return f.Sync()
}
