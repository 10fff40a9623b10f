package seeds

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"
)

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// passphrase is cheap to try, as a real one is not.
func passphrase(t *testing.T, text string) (*age.ScryptRecipient, *age.ScryptIdentity) {
	t.Helper()
	recipient, err := age.NewScryptRecipient(text)
	if err != nil {
		t.Fatal(err)
	}
	recipient.SetWorkFactor(2)
	identity, err := age.NewScryptIdentity(text)
	if err != nil {
		t.Fatal(err)
	}
	return recipient, identity
}

func encrypt(t *testing.T, text string, recipients ...age.Recipient) []byte {
	t.Helper()
	out, err := Encrypt([]byte(text), recipients...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEncrypt(t *testing.T) {
	a, b := newIdentity(t), newIdentity(t)
	secret, opens := passphrase(t, "correct horse")
	for name, c := range map[string]struct {
		recipients []age.Recipient
		identities []age.Identity
	}{
		"one key":    {[]age.Recipient{a.Recipient()}, []age.Identity{a}},
		"second key": {[]age.Recipient{a.Recipient(), b.Recipient()}, []age.Identity{b}},
		"one of two": {[]age.Recipient{b.Recipient()}, []age.Identity{a, b}},
		"passphrase": {[]age.Recipient{secret}, []age.Identity{a, opens}},
	} {
		encrypted := encrypt(t, Example, c.recipients...)
		binary, err := armor2binary(encrypted)
		if err != nil {
			t.Fatal(err)
		}
		for form, data := range map[string][]byte{
			"armored": encrypted, "binary": binary,
			"from Windows": append([]byte("\ufeff\r\n"), bytes.ReplaceAll(encrypted, []byte("\n"), []byte("\r\n"))...),
		} {
			if !IsEncrypted(data) {
				t.Errorf("%s, %s: it is not taken for an encrypted seed", name, form)
			}
			if got, err := Decrypt("seed.yaml", data, c.identities...); err != nil || string(got) != Example {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
	if _, err := Encrypt([]byte(Example)); err == nil {
		t.Error("it was encrypted to nobody")
	}
	if IsEncrypted([]byte(Example)) || IsEncrypted(nil) {
		t.Error("a seed in plain text is taken for an encrypted one")
	}
}

func armor2binary(data []byte) ([]byte, error) {
	var out bytes.Buffer
	_, err := out.ReadFrom(armor.NewReader(bytes.NewReader(data)))
	return out.Bytes(), err
}

func TestDecryptRefuses(t *testing.T) {
	a, b := newIdentity(t), newIdentity(t)
	secret, opens := passphrase(t, "correct horse")
	_, wrong := passphrase(t, "wrong horse")
	toKey, toPassphrase := encrypt(t, Example, a.Recipient()), encrypt(t, Example, secret)
	binary, err := armor2binary(toKey)
	if err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Clone(binary)
	tampered[len(tampered)-1] ^= 1
	for name, c := range map[string]struct {
		data       []byte
		identities []age.Identity
		locked     bool
		want       string
	}{
		"nothing given":       {toKey, nil, true, "give its passphrase, or a key"},
		"another key":         {toKey, []age.Identity{b}, true, "other keys than those given"},
		"another and a word":  {toKey, []age.Identity{b, opens}, true, "other keys than those given"},
		"wrong passphrase":    {toPassphrase, []age.Identity{wrong}, true, "the passphrase is wrong"},
		"key for passphrase":  {toPassphrase, []age.Identity{a}, true, "only keys were given"},
		"passphrase for key":  {toKey, []age.Identity{opens}, true, "only a passphrase was given"},
		"tampered":            {tampered, []age.Identity{a}, false, "is damaged"},
		"cut off":             {binary[:len(binary)-3], []age.Identity{a}, false, "is damaged"},
		"cut off, armored":    {toKey[:len(toKey)-60], []age.Identity{a}, false, "is damaged"},
		"text that is secret": {[]byte("password: correct horse\n"), []age.Identity{a}, false, "is damaged, or no age file"},
		"secret in a header":  {[]byte("age-encryption.org/v1\ncorrect horse\n"), []age.Identity{a}, false, "is damaged"},
		"empty":               {nil, []age.Identity{a}, false, "is damaged"},
	} {
		got, err := Decrypt("n1.yaml.age", c.data, c.identities...)
		if err == nil || errors.Is(err, ErrLocked) != c.locked || !strings.HasPrefix(err.Error(), "n1.yaml.age ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "horse") || len(got) > 0 {
			t.Errorf("%s: it shows a secret: %v\n%s", name, err, got)
		}
	}
}

// The plain text of an encrypted seed carries the signature.
func TestSignedThenEncrypted(t *testing.T) {
	public, private := newKey(t, 1)
	identity := newIdentity(t)
	plain, err := Decrypt("seed.yaml", encrypt(t, sign(t, Example, private), identity.Recipient()), identity)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify("seed.yaml", plain, public); err != nil {
		t.Error(err)
	}
}

func TestRecipientsAndIdentities(t *testing.T) {
	identity := newIdentity(t)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	recipients, err := ParseRecipients("# who may read it\n\n" + identity.Recipient().String() + "\r\n " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " me@here\n")
	if err != nil || len(recipients) != 2 {
		t.Fatal(recipients, err)
	}
	encrypted := encrypt(t, Example, recipients...)
	for name, text := range map[string]string{
		"age": "# public key: x\r\n" + identity.String() + "\r\n", "ssh": string(pem.EncodeToMemory(block)),
	} {
		identities, err := ParseIdentities(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := Decrypt("seed.yaml", encrypted, identities...); err != nil || string(got) != Example {
			t.Errorf("%s: %v", name, err)
		}
	}

	for _, text := range []string{"", "# nothing\n", identity.String(), "age1horse", "ssh-ed25519 horse", "ssh-dss AAAA horse", "horse"} {
		if _, err := ParseRecipients(text); err == nil || strings.Contains(err.Error(), "horse") || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("recipient %q: %v", text, err)
		}
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("horse"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "horse", identity.Recipient().String(), "AGE-SECRET-KEY-1HORSE", string(pem.EncodeToMemory(locked)), "-----BEGIN horse"} {
		if _, err := ParseIdentities(strings.NewReader(text)); err == nil || strings.Contains(strings.ToLower(err.Error()), "horse") {
			t.Errorf("identity %q: %v", text, err)
		}
	}
}
