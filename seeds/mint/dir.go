package mint

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"banyan/internal/durable"
	"banyan/internal/strict"
	"banyan/seeds"
)

// secretsName is the file that keeps what was minted.
const secretsName = "secrets.yaml"

const universalName = "universal.yaml"

// mode is that of all files: each holds secrets.
const mode = 0o600

// Output says what to write, and how.
type Output struct {
	// PerNode writes a seed for each node, Universal one for all.
	PerNode, Universal bool
	// Sign signs a seed; nil signs none. The same seed has to become the same.
	Sign func([]byte) ([]byte, error)
	// Encryption encrypts seeds; nil leaves them in plain text.
	Encryption *Encryption
}

// Report is what became of a minting.
type Report struct {
	Cluster    string     `json:"cluster"`
	ID         seeds.UUID `json:"id"`
	Generation int        `json:"generation"`
	Files      []File     `json:"files"`
	Nodes      []Made     `json:"nodes"`
	Warnings   []string   `json:"warnings"`
}

// File is a file and whether it was written; else it said the same already.
type File struct {
	Path    string `json:"path"`
	Written bool   `json:"written"`
}

// Made is a node, when the first of its certificates ends and why new ones were made,
// if any.
type Made struct {
	Node    string    `json:"node"`
	Ends    time.Time `json:"ends"`
	Reasons []string  `json:"reasons"`
}

// output is a file that is to be there.
type output struct {
	file    SeedFile
	text    []byte
	current bool // it is there, and says so
}

// Into mints a cluster into a directory. Files that say the same already are not
// touched. The secrets are written before the seeds, so that whatever comes in between,
// the next minting carries on from them.
func Into(ctx context.Context, dir string, c *ClusterFile, o Options, out Output) (*Report, error) {
	lock, err := prepare(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	before, err := readSecrets(filepath.Join(dir, secretsName))
	if err != nil {
		return nil, err
	}
	if err := durable.RemoveRemains(dir, before.fileNames()...); err != nil {
		return nil, err
	}
	made, err := c.mint(ctx, before, o)
	if err != nil {
		return nil, err
	}
	outputs, err := made.outputs(ctx, c, out)
	if err != nil {
		return nil, err
	}
	if err := compare(dir, outputs, before, out.Encryption); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(outputs, func(o output) bool { return !o.current }) {
		if err := made.check(ctx); err != nil {
			return nil, err
		}
	}
	if out.Encryption != nil {
		if err := out.Encryption.encryptAll(ctx, outputs); err != nil {
			return nil, err
		}
	}
	made.list(dir, before, outputs)
	text, err := made.Secrets.Text()
	if err != nil {
		return nil, err
	}
	secrets := []output{{file: SeedFile{Name: secretsName}, text: text}}
	if err := compare(dir, secrets, &Secrets{Files: []SeedFile{{Name: secretsName}}}, nil); err != nil {
		return nil, err
	}
	report := made.report()
	for _, o := range append(secrets, outputs...) {
		path := filepath.Join(dir, o.file.Name)
		if !o.current {
			if err := durable.WriteFile(path, o.text, mode); err != nil {
				return nil, err
			}
		}
		report.Files = append(report.Files, File{path, !o.current})
	}
	return report, nil
}

// prepare makes the directory, which is the operator's alone, and locks it until what it
// returns is closed.
func prepare(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	info, err := lock.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s is open to others (mode %04o), and the cluster's keys are to lie there: chmod 700 %s, or choose another directory",
			dir, info.Mode().Perm(), dir)
	}
	if err == nil {
		if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("somebody else is minting into %s", dir)
		}
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(dir))
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func readSecrets(path string) (*Secrets, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return new(Secrets), nil
	}
	if err != nil {
		return nil, err
	}
	return parseSecrets(path, text)
}

// outputs are the seeds in plain text, signed.
func (m *minted) outputs(ctx context.Context, c *ClusterFile, out Output) ([]output, error) {
	var outputs []output
	var texts []func() ([]byte, error)
	if out.PerNode {
		for i, n := range m.nodes {
			outputs = append(outputs, output{file: SeedFile{Name: n.Name + ".yaml"}})
			texts = append(texts, func() ([]byte, error) { return m.Seed(i) })
		}
	}
	if out.Universal {
		if err := c.checkMatches(); err != nil {
			return nil, err
		}
		outputs = append(outputs, output{file: SeedFile{Name: universalName}})
		texts = append(texts, m.Universal)
	}
	return outputs, onAllCores(ctx, len(outputs), func(i int) error {
		name := outputs[i].file.Name
		text, err := texts[i]()
		if err != nil {
			return err
		}
		if out.Sign != nil {
			if text, err = out.Sign(text); err != nil {
				return fmt.Errorf("sign %s: %w", name, err)
			}
		}
		if len(text) > strict.MaxSize {
			advice := "the cluster is too large"
			if name == universalName {
				advice = "mint a seed for each node, without --universal"
			}
			return fmt.Errorf("%s would have %d KiB, and no seed may have more than %d: %s", name, len(text)>>10, strict.MaxSize>>10, advice)
		}
		if name == universalName {
			if err := parse(name, text); err != nil {
				return err
			}
		}
		outputs[i].text = text
		return nil
	})
}

func onAllCores(ctx context.Context, n int, do func(int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(i)
		})
	}
	return group.Wait()
}

// checkMatches refuses nodes that would not find themselves in a universal seed.
func (c *ClusterFile) checkMatches() error {
	var without []string
	for _, n := range c.seed.Nodes {
		if n.Match == (seeds.Match{}) {
			without = append(without, n.Name)
		}
	}
	if without != nil {
		return fmt.Errorf("a universal seed needs a match for every node, by which its machine finds itself: add one to %s", strings.Join(without, ", "))
	}
	return nil
}

// compare finds out which files are there already. A file of that name that no minting
// wrote is not written over.
func compare(dir string, outputs []output, before *Secrets, e *Encryption) error {
	opens := map[string]bool{} // by run: what was encrypted together has one passphrase
	for i := range outputs {
		o := &outputs[i]
		if e != nil {
			o.file = SeedFile{Name: o.file.Name + seeds.EncryptedSuffix, Plain: digest(o.text), For: e.whom}
		}
		path := filepath.Join(dir, o.file.Name)
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		known := before.file(o.file.Name)
		if known.Name == "" {
			return fmt.Errorf("%s is there, and %s does not know it: move it away, or put back the %s that it was minted with", path, secretsName, secretsName)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if o.current = bytes.Equal(text, o.text); e != nil {
			o.current = known.Plain == o.file.Plain && known.For == e.whom && known.Encrypted == digest(text)
			o.file.Encrypted, o.file.Run = known.Encrypted, known.Run
			if o.current && e.opens != nil {
				if _, asked := opens[known.Run]; !asked {
					opens[known.Run] = e.opens(text)
				}
				o.current = opens[known.Run]
			}
		}
		o.current = o.current && info.Mode() == mode
	}
	return nil
}

// encryptAll encrypts the seeds that are not there yet.
func (e *Encryption) encryptAll(ctx context.Context, outputs []output) error {
	run := rand.Text()
	return onAllCores(ctx, len(outputs), func(i int) (err error) {
		o := &outputs[i]
		if o.current {
			return nil
		}
		if o.text, err = e.encrypt(o.text); err != nil {
			return fmt.Errorf("encrypt %s: %w", o.file.Name, err)
		}
		o.file.Encrypted, o.file.Run = digest(o.text), run
		return nil
	})
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// list notes the files that are written. Those of earlier mintings that are not among
// them are named for as long as they are there: nothing tells who still needs them.
func (m *minted) list(dir string, before *Secrets, outputs []output) {
	for _, o := range outputs {
		m.Secrets.Files = append(m.Secrets.Files, o.file)
	}
	for _, old := range before.Files {
		path := filepath.Join(dir, old.Name)
		if _, err := os.Lstat(path); err != nil || m.Secrets.file(old.Name).Name != "" {
			continue
		}
		m.Secrets.Files = append(m.Secrets.Files, old)
		m.Warnings = append(m.Warnings, fmt.Sprintf("%s is left from an earlier minting, with its secrets: remove it if it is not needed", path))
	}
}

// fileNames are those that were written, or may have been when the last minting was cut
// off: it listed them first.
func (s *Secrets) fileNames() []string {
	names := []string{secretsName}
	for _, f := range s.Files {
		names = append(names, f.Name)
	}
	return names
}

// file is what is known of a file, or zero.
func (s *Secrets) file(name string) SeedFile {
	for _, f := range s.Files {
		if f.Name == name {
			return f
		}
	}
	return SeedFile{}
}

func (m *minted) report() *Report {
	r := &Report{Cluster: m.Secrets.Cluster.Name, ID: m.Secrets.Cluster.ID, Generation: m.Secrets.Cluster.Generation, Warnings: append([]string{}, m.Warnings...)}
	for _, n := range m.nodes {
		r.Nodes = append(r.Nodes, Made{n.Name, n.ends, append([]string{}, unique(n.made)...)})
	}
	return r
}
