package seeds

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"banyan/internal/durable"
	"banyan/internal/strict"
)

const (
	// sealed stands in a planted seed where a secret stood. Parse refuses it, so
	// that it never becomes a password.
	sealed = "(sealed)"
	// planted begins the first line of a planted seed.
	planted = "# planted on "
)

// Seal writes a seed, secrets and all, where only root reads it: the file is
// 0600, its directory is made, with its parent there, and is 0700. Should the
// power fail, path is the old file or the whole new one; when Seal returns, the
// new one is on the disk.
func Seal(path string, data []byte) error {
	if err := seal(path, data); err != nil {
		return fmt.Errorf("seal the seed: %w", err)
	}
	return nil
}

func seal(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir)) // dir may be new
}

// Redacted is a valid seed as it may stay on the medium that it came on: each
// secret is replaced by "(sealed)", all else is as it was, byte for byte, and a
// comment on the first line says on which node the secrets are. A comment that repeats a
// secret keeps it. Signatures go, even those
// that were touched: one is of the secrets too, which could be guessed by it.
func Redacted(data []byte, node string) ([]byte, error) {
	_, d := read("seed", data)
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("redact the seed: %w", err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s%s; its secrets are on that node only\n", planted, node)
	out.Write(signatureLine.ReplaceAll(unsigned(redact(d.Data(), d.Secrets())), []byte("#")))
	return out.Bytes(), nil
}

// redact replaces the secrets, and drops the first line of an earlier planting.
func redact(data []byte, secrets []strict.Span) []byte {
	var out []byte
	at := 0
	if IsRedacted(data) {
		at = 1 + bytes.IndexByte(data, '\n')
	}
	for _, s := range secrets {
		out = append(append(out, data[at:s.Start]...), sealed...)
		at = s.End
	}
	return append(out, data[at:]...)
}

// IsRedacted tells a seed that Redacted made from one that is yet to be planted.
func IsRedacted(data []byte) bool {
	const byteOrderMark = "\ufeff" // an editor of Windows may have put it there since
	return bytes.HasPrefix(bytes.TrimPrefix(data, []byte(byteOrderMark)), []byte(planted))
}

// Scrub is other with asterisks in place of each secret of a valid seed, so that
// nothing else moves: for the seed with the mistake, which holds the same secrets
// as the one that mended it. Its signature, by which they could be guessed, goes too.
func Scrub(other, seed []byte) ([]byte, error) {
	_, d := read("seed", seed)
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("scrub after the seed: %w", err)
	}
	for _, s := range d.Secrets() {
		secret := bytes.Trim(d.Data()[s.Start:s.End], `"'`)
		other = bytes.ReplaceAll(other, secret, bytes.Repeat([]byte("*"), len(secret)))
	}
	hashes := func(line []byte) []byte { return bytes.Repeat([]byte("#"), len(line)) }
	return signatureLine.ReplaceAllFunc(other, hashes), nil
}
