// Package media puts seeds on what carries them to a node: the BANYAN partition of
// an image or a disk, a stick, and images of sticks and CDs.
//
// FAT is written by mtools, which need no mount and so no root, and is read back as
// a node reads it.
package media

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"banyan/seeds"
)

// File is a seed and its path on the medium.
type File struct {
	Name string
	Data []byte
}

// Report says what a medium holds after seeds were written to it.
type Report struct {
	Target   string   `json:"target"`             // where they are, for a person
	Files    []string `json:"files"`              // that were written
	Replaced []string `json:"replaced,omitempty"` // earlier seeds that are gone
	Others   []string `json:"others,omitempty"`   // earlier seeds that are still there
}

// ErrUnfinished says that the writing of a medium was interrupted. Each seed there is
// whole, and may be the earlier one.
var ErrUnfinished = errors.New("the medium may hold some of the seeds: write them once more")

// unfinishedBy is err with ErrUnfinished, where that was an interruption.
func unfinishedBy(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %w", ErrUnfinished, err)
	}
	return err
}

// Read reads seeds. A seed in plain text has to be valid; one that is encrypted is
// taken as it is. A single one is seed.yaml on the medium. Several are for several
// machines and keep their names, by which each finds its own: seeds/NAME.yaml. An
// encrypted one has .age at the end of its name.
func Read(names []string) ([]File, error) {
	var files []File
	var errs []error
	for _, name := range names {
		data, err := seeds.ReadFile(name)
		if err == nil && !seeds.IsEncrypted(data) {
			_, err = seeds.Parse(name, data)
		}
		on := "seed.yaml"
		if err == nil && len(names) > 1 {
			on, err = nameOf(name)
		}
		if seeds.IsEncrypted(data) {
			on += seeds.EncryptedSuffix
		}
		if err == nil && slices.ContainsFunc(files, func(f File) bool { return strings.EqualFold(f.Name, on) }) {
			err = fmt.Errorf("%s: another seed is %s on the medium too: a name can be there once", name, on)
		}
		files, errs = append(files, File{on, data}), append(errs, err)
	}
	return files, errors.Join(errs...)
}

// portableName is a name that FAT, ISO 9660 with its extensions and mtools take as
// it is.
var portableName = regexp.MustCompile(`(?i)^[a-z0-9_][a-z0-9_.-]{0,99}\.ya?ml$`)

// nameOf is the path on the medium, without the suffix of an encrypted one, of a
// seed that is one of several.
func nameOf(name string) (string, error) {
	base := strings.TrimSuffix(filepath.Base(name), seeds.EncryptedSuffix)
	switch {
	case strings.Contains(base, ":"):
		return "", fmt.Errorf("%s: FAT has no colon in names: write a MAC address with hyphens, %s", name, strings.ReplaceAll(base, ":", "-"))
	case !portableName.MatchString(base):
		return "", fmt.Errorf("%s: the name of one of several seeds has to end in .yaml and is made of letters, digits, dots, hyphens and underscores", name)
	}
	return path.Join(seeds.Folder, base), nil
}
