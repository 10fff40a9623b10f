package seeds

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

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
	secrets, err := secretsOf(seed)
	if err != nil {
		return nil, fmt.Errorf("scrub after the seed: %w", err)
	}
	other = bytes.Clone(other)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // one may be a word of another
	for _, secret := range secrets {
		for line := range strings.Lines(secret) { // a key may be indented otherwise there
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "-----") {
				scrubWord(other, line)
			}
		}
	}
	hashes := func(line []byte) []byte { return bytes.Repeat([]byte("#"), len(line)) }
	return signatureLine.ReplaceAllFunc(other, hashes), nil
}

// scrubWord puts asterisks in the place of a word, and not of one that it is a part of.
func scrubWord(text []byte, word string) {
	inWord := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(word))
		if i < 0 {
			return
		}
		start, end := at+i, at+i+len(word)
		before, _ := utf8.DecodeLastRune(text[:start])
		after, _ := utf8.DecodeRune(text[end:])
		first, _ := utf8.DecodeRuneInString(word)
		last, _ := utf8.DecodeLastRuneInString(word)
		if at = start + 1; inWord(first) && inWord(before) || inWord(last) && inWord(after) {
			continue
		}
		copy(text[start:end], bytes.Repeat([]byte("*"), len(word)))
		at = end
	}
}

// ShareSecret tells whether two valid seeds hold one of the same secrets.
func ShareSecret(a, b []byte) (bool, error) {
	of, err := secretsOf(a)
	if err != nil {
		return false, err
	}
	others, err := secretsOf(b)
	return slices.ContainsFunc(of, func(secret string) bool { return slices.Contains(others, secret) }), err
}

// secretsOf are the secrets of a valid seed, as they are written and, where that
// differs, as they are meant.
func secretsOf(seed []byte) ([]string, error) {
	_, d := read("seed", seed)
	if err := d.Err(); err != nil {
		return nil, err
	}
	var secrets []string
	for _, s := range d.Secrets() {
		written := d.Data()[s.Start:s.End]
		as := string(bytes.Trim(written, `"'`))
		var meant string
		if err := yaml.Unmarshal(written, &meant); err == nil && meant != as {
			secrets = append(secrets, meant)
			if strings.HasPrefix(as, "|") || strings.HasPrefix(as, ">") { // lines, of which the first is no part of the secret
				continue
			}
		}
		secrets = append(secrets, as)
	}
	return secrets, nil
}
