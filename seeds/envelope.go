package seeds

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"

	"banyan/internal/strict"
)

// ErrLocked is what Decrypt wraps where no identity opens the file, so that
// another may be asked for. Any other error of Decrypt lies in the file itself.
var ErrLocked = errors.New("cannot be decrypted")

// IsEncrypted tells an age file, binary or armored, from a seed in plain text:
// https://age-encryption.org/v1.
func IsEncrypted(data []byte) bool {
	data = skipSpace(data)
	return bytes.HasPrefix(data, []byte("age-encryption.org/")) || isArmored(data)
}

func isArmored(data []byte) bool { return bytes.HasPrefix(data, []byte(armor.Header)) }

// skipSpace is data without what an editor may have put before it, a byte order
// mark among it.
func skipSpace(data []byte) []byte { return bytes.TrimLeft(data, "\ufeff \t\r\n") }

// Encrypt encrypts a seed for any one of the recipients, or for who knows the
// passphrase of an [age.ScryptRecipient]. It returns an armored age file: text, so
// that it passes wherever a seed does. A seed that is to be signed is signed first,
// since the signature travels in it.
func Encrypt(data []byte, recipients ...age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	sealed, err := age.Encrypt(text, recipients...)
	if err != nil {
		return nil, fmt.Errorf("encrypt the seed: %w", err)
	}
	if _, err := sealed.Write(data); err != nil {
		return nil, fmt.Errorf("encrypt the seed: %w", err)
	}
	if err := errors.Join(sealed.Close(), text.Close()); err != nil {
		return nil, fmt.Errorf("encrypt the seed: %w", err)
	}
	return out.Bytes(), nil
}

// Decrypt decrypts what Encrypt or the program age has encrypted, with the first
// identity that fits. name is what errors call the file; they hold nothing of what
// is in it. Of a seed that is larger than any may be it returns the beginning.
func Decrypt(name string, data []byte, identities ...age.Identity) ([]byte, error) {
	if len(identities) == 0 {
		return nil, fmt.Errorf("%s %w: give its passphrase, or a key that opens it", name, ErrLocked)
	}
	data = skipSpace(data)
	var file io.Reader = bytes.NewReader(data)
	if isArmored(data) {
		file = armor.NewReader(file)
	}
	// What age says of a file that it cannot read repeats lines of it.
	damaged := fmt.Errorf("%s is damaged, or no age file: copy it once more", name)
	opened, err := age.Decrypt(file, identities...)
	if none := new(age.NoIdentityMatchError); errors.As(err, &none) {
		return nil, fmt.Errorf("%s %w: %s", name, ErrLocked, whyLocked(none, identities))
	}
	if err != nil {
		return nil, damaged
	}
	plain, err := io.ReadAll(io.LimitReader(opened, strict.MaxSize+1))
	if err != nil {
		return nil, damaged
	}
	return plain, nil
}

// whyLocked says what to do where none of the identities fitted.
func whyLocked(none *age.NoIdentityMatchError, identities []age.Identity) string {
	isPassphrase := func(i age.Identity) bool { _, ok := i.(*age.ScryptIdentity); return ok }
	given := slices.ContainsFunc(identities, isPassphrase)
	switch wanted := slices.Contains(none.StanzaTypes, "scrypt"); {
	case wanted && given:
		return "the passphrase is wrong"
	case wanted:
		return "a passphrase opens it, and only keys were given"
	case given && !slices.ContainsFunc(identities, func(i age.Identity) bool { return !isPassphrase(i) }):
		return "a key opens it, and only a passphrase was given"
	}
	return "it was encrypted to other keys than those given"
}

// ParseRecipients reads whom to encrypt a seed to, one public key a line: age's
// own (age1...) and SSH's (ssh-ed25519, ssh-rsa). Empty lines and comments (#) do
// not count. Errors hold nothing of a line, which may be a secret key by mistake.
func ParseRecipients(text string) ([]age.Recipient, error) {
	var recipients []age.Recipient
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		recipient, err := parseRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("line %d is no recipient: write the public key of one, age1..., ssh-ed25519 or ssh-rsa", n)
		}
		recipients = append(recipients, recipient)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the recipients: %w", err)
	}
	if len(recipients) == 0 {
		return nil, errors.New("there is no recipient: write public keys, one a line: age1..., ssh-ed25519 or ssh-rsa")
	}
	return recipients, nil
}

func parseRecipient(line string) (age.Recipient, error) {
	if strings.HasPrefix(line, "ssh-") {
		return agessh.ParseRecipient(line)
	}
	list, err := age.ParseRecipients(strings.NewReader(line))
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// ParseIdentities reads secret keys: a file of age's own, as age-keygen(1) makes it,
// or one SSH key without a passphrase. Errors hold nothing of it.
func ParseIdentities(r io.Reader) ([]age.Identity, error) {
	const limit = 1 << 20 // as far as one goes by mistake
	text, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	text = skipSpace(text)
	if bytes.HasPrefix(text, []byte("-----BEGIN")) {
		identity, err := agessh.ParseIdentity(text)
		if err != nil {
			return nil, errors.New("this SSH key cannot be used: it has to be a secret key, of the type ssh-ed25519 or ssh-rsa, without a passphrase")
		}
		return []age.Identity{identity}, nil
	}
	// It ignores lines that are empty, and no carriage return.
	identities, err := age.ParseIdentities(bytes.NewReader(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))))
	if err != nil {
		return nil, errors.New("there is no key: name a file that age-keygen made, with a line that begins with AGE-SECRET-KEY-, or an SSH key")
	}
	return identities, nil
}
