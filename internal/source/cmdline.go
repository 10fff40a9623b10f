package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"banyan/seeds"
)

// Named is a seed that somebody names: by an absolute path, or by a URL.
type Named struct {
	At     string
	SHA256 string // of the file, in hex, or ""
	Pin    string // of a server's or an authority's key, see Fetcher, or ""

	// wrong is why it is not read, as its place says: other places are looked at.
	wrong error
}

// SetSHA256 names the checksum of the file. It refuses what is none, such as the value
// of an empty variable, since without one nothing is checked.
func (n *Named) SetSHA256(sum string) error {
	if digest, err := hex.DecodeString(sum); err != nil || len(digest) != sha256.Size {
		return errors.New("the checksum (sha256) is not 64 hexadecimal digits")
	}
	n.SHA256 = sum
	return nil
}

// SetPin names a pinned key, and refuses what is none as SetSHA256 does.
func (n *Named) SetPin(pin string) error {
	if _, err := parsePin(pin); err != nil {
		return err
	}
	n.Pin = pin
	return nil
}

// IsURL tells a URL from a path.
func (n Named) IsURL() bool { return strings.Contains(n.At, "://") }

// KernelNamed is the seed that the kernel's command line names, if any:
// banyan.seed=, banyan.seed.sha256= and banyan.seed.pin=.
func KernelNamed(root string) (Named, error) {
	line, err := os.ReadFile(filepath.Join(root, "proc/cmdline"))
	if err != nil {
		return Named{}, err
	}
	values := parameters(string(line))
	n := Named{At: values["banyan.seed"]}
	if sum, there := values["banyan.seed.sha256"]; there {
		n.wrong = n.SetSHA256(sum)
	}
	if pin, there := values["banyan.seed.pin"]; there {
		n.wrong = errors.Join(n.wrong, n.SetPin(pin))
	}
	return n, nil
}

// parameters are those of a kernel's command line. Of one that is there twice the
// last one counts; double quotes keep spaces together:
// https://docs.kernel.org/admin-guide/kernel-parameters.html.
func parameters(line string) map[string]string {
	values := map[string]string{}
	quoted := false
	words := strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || r == '\t' || r == '\n')
	})
	for _, word := range words {
		key, value, _ := strings.Cut(strings.ReplaceAll(word, `"`, ""), "=")
		values[key] = value
	}
	return values
}

// kernel is the place that the kernel's command line names.
func (m Machine) kernel(ctx context.Context) seeds.Place {
	const source = "kernel parameter banyan.seed"
	named, err := KernelNamed(m.Root)
	if err == nil && named.At == "" {
		err = fs.ErrNotExist
	}
	if err != nil {
		return seeds.Place{Source: source, Read: func() (string, []byte, error) { return "", nil, err }}
	}
	p := m.Place(ctx, named)
	p.Source = source + " " + p.Source
	return p
}

// Place is the place that is named.
func (m Machine) Place(ctx context.Context, n Named) seeds.Place {
	name := filepath.Base(n.At)
	return seeds.Place{Source: n.shown(), Read: func() (string, []byte, error) {
		switch {
		case n.wrong != nil:
			return "", nil, n.wrong
		case n.IsURL() && m.Fetch == nil:
			return "", nil, errors.New("not fetched: this machine has its seed")
		case n.IsURL():
			data, err := m.Fetch(ctx, n)
			return name, data, err
		case !filepath.IsAbs(n.At):
			return "", nil, errors.New("neither a path that begins with / nor a URL")
		}
		data, err := readFile(filepath.Join(m.Root, n.At))
		if err == nil {
			err = n.check(data)
		}
		return name, data, err
	}}
}
