package seeds

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"banyan/internal/command"
)

// newKey is a key pair from a number.
func newKey(t *testing.T, n byte) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{n}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func sign(t *testing.T, data string, key minisign.PrivateKey, comment ...string) string {
	t.Helper()
	signed, err := Sign([]byte(data), key, strings.Join(comment, " "))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func TestSign(t *testing.T) {
	public, private := newKey(t, 1)
	for _, text := range []string{Example, strings.TrimSuffix(Example, "\n"), strings.ReplaceAll(Example, "\n", "\r\n"), "\ufeff" + Example, "x", ""} {
		signed := sign(t, text, private, "signed", "today")
		if err := Verify("seed.yaml", []byte(signed), public); err != nil {
			t.Error(err)
		}
		if err := Verify("seed.yaml", []byte(strings.TrimSuffix(signed, "\n")), public); err != nil {
			t.Errorf("without its last newline: %v", err)
		}
		if !strings.HasPrefix(signed, text) || !strings.Contains(signed, "\n# trusted comment: signed today\n# ") {
			t.Errorf("the signed seed is\n%s", signed)
		}
		if again := sign(t, signed, private, "signed", "today"); again != signed {
			t.Errorf("signed twice it is\n%s", again)
		}
		other, another := newKey(t, 2)
		if err := Verify("seed.yaml", []byte(sign(t, signed, another)), other); err != nil {
			t.Errorf("signed by another: %v", err)
		}
	}
	if _, err := Parse("seed.yaml", []byte(sign(t, Example, private))); err != nil {
		t.Errorf("a signed seed is no seed: %v", err)
	}
}

// What was appended to a signed seed is a part of the next one.
func TestSignAgainAfterAChange(t *testing.T) {
	public, private := newKey(t, 1)
	signed := sign(t, sign(t, "a: 1\n", private)+"b: 2\n", private)
	if err := Verify("seed.yaml", []byte(signed), public); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(signed, "a: 1\nb: 2\n# untrusted comment: ") || strings.Count(signed, "\n") != 6 {
		t.Errorf("it is\n%s", signed)
	}
}

func TestSignRefuses(t *testing.T) {
	_, private := newKey(t, 1)
	for _, comment := range []string{" ", "a ", " a", "two\nlines", "\u2028", "a\tb", "é"} {
		if got, err := Sign([]byte("a: 1\n"), private, comment); err == nil {
			t.Errorf("%q: got\n%s", comment, got)
		}
	}
	if _, err := Sign([]byte("-----BEGIN AGE ENCRYPTED FILE-----\n"), private, ""); err == nil || !strings.Contains(err.Error(), "sign it first") {
		t.Errorf("an encrypted seed: %v", err)
	}
}

const changed = "seed.yaml was changed since it was signed"

// Not a byte of a signed seed can be another.
func TestVerifyEveryByte(t *testing.T) {
	public, private := newKey(t, 1)
	signed := sign(t, "a: 1\nb: 2\n", private)
	for i := range len(signed) - 1 {
		for _, b := range []byte{signed[i] ^ 1, signed[i] ^ 0x20, '\n', ' '} {
			other := signed[:i] + string([]byte{b}) + signed[i+1:]
			if err := Verify("seed.yaml", []byte(other), public); (err == nil) != (other == signed) {
				t.Fatalf("byte %d as %q: %v", i, b, err)
			}
		}
		if shorter := signed[:i] + signed[i+1:]; shorter != signed && Verify("seed.yaml", []byte(shorter), public) == nil {
			t.Fatalf("without byte %d it is accepted", i)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	public, private := newKey(t, 1)
	_, foreign := newKey(t, 2)
	const text = "a: 1\nb: 2\n"
	signed := sign(t, text, private)
	lines := strings.SplitAfter(signed, "\n") // two, the signature's four and an empty one
	replaced := func(n int, old, with string) string {
		if !strings.Contains(lines[n], old) {
			t.Fatalf("line %d is %s", n, lines[n])
		}
		return strings.Join(lines[:n], "") + strings.Replace(lines[n], old, with, 1) + strings.Join(lines[n+1:], "")
	}
	without := func(n int) string { return strings.Join(lines[:n], "") + strings.Join(lines[n+1:], "") }
	for name, c := range map[string]struct{ data, want string }{
		"not signed":               {text, "seed.yaml is not signed: sign it with build seed sign, by the key " + KeyID(public.ID())},
		"empty":                    {"", "seed.yaml is not signed"},
		"another key":              {sign(t, text, foreign), fmt.Sprintf("seed.yaml is signed by another key: by %s, and only %s is accepted", KeyID(foreign.ID()), KeyID(public.ID()))},
		"encrypted":                {"age-encryption.org/v1\n", "decrypt it first"},
		"text":                     {replaced(0, "1", "2"), changed},
		"text before":              {"c: 3\n" + signed, changed},
		"byte order mark":          {"\ufeff" + signed, changed},
		"text after":               {signed + "c: 3\n", changed},
		"comment after":            {signed + "# so it is\n", changed},
		"newline after":            {signed + "\n", changed},
		"newline before":           {lines[0] + lines[1] + "\n" + strings.Join(lines[2:], ""), changed},
		"CRLF":                     {strings.ReplaceAll(signed, "\n", "\r\n"), changed},
		"CRLF in the signature":    {text + strings.ReplaceAll(signed[len(text):], "\n", "\r\n"), changed},
		"CRLF in the text":         {strings.ReplaceAll(text, "\n", "\r\n") + signed[len(text):], changed},
		"untrusted comment":        {replaced(2, "of this seed", "of that seed"), changed},
		"keys behind U+2028":       {replaced(2, "signature", "\u2028c: 3\u2028# signature"), changed},
		"keys behind a CR":         {replaced(2, "signature", "\rc: 3\r# signature"), changed},
		"signature":                {replaced(3, lines[3][20:24], "AAAA"), changed},
		"signature is no base64":   {replaced(3, lines[3][20:24], "===="), changed},
		"trusted comment":          {replaced(4, "banyan", "Banyan"), changed},
		"trusted comment's space":  {replaced(4, "banyan seed", "banyan seed "), changed},
		"comment's signature":      {replaced(5, lines[5][20:24], "AAAA"), changed},
		"comment's sign. is short": {replaced(5, lines[5][20:24], ""), changed},
		"no untrusted comment":     {without(2), changed},
		"no signature":             {without(3), changed},
		"no trusted comment":       {without(4), changed},
		"no comment's signature":   {without(5), changed},
		"signature twice":          {signed + signed[len(text):], changed},
		"cut off":                  {signed[:len(signed)-20], changed},
		"another seed's signature": {text + sign(t, "a: 1\n", private)[len("a: 1\n"):], changed},
	} {
		err := Verify("seed.yaml", []byte(c.data), public)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key that claims another's id, which is not protected, signs nothing in its name.
func TestVerifyTrustsNoID(t *testing.T) {
	public, _ := newKey(t, 1)
	_, foreign := newKey(t, 2)
	text, err := foreign.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	signed := minisign.Signature{}
	block := strings.ReplaceAll("\n"+sign(t, "", foreign), "\n# ", "\n")[1:]
	if err := signed.UnmarshalText([]byte(block)); err != nil {
		t.Fatal(err, string(text))
	}
	signed.KeyID, signed.UntrustedComment = public.ID(), untrustedComment(public.ID())
	forged, err := signed.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify("seed.yaml", asComment(forged), public); err == nil || !strings.Contains(err.Error(), changed) {
		t.Errorf("got %v", err)
	}
}

// Another seed must not be accepted for a signature of the kind that signs a text
// itself, instead of its hash.
func TestVerifyWantsTheHashedKind(t *testing.T) {
	public, private := newKey(t, 1)
	const text = "a: 1\n"
	block := asComment(minisign.SignWithComments(private, []byte(text), defaultComment, untrustedComment(public.ID())))
	if err := Verify("seed.yaml", append([]byte(text), block...), public); err == nil || !strings.Contains(err.Error(), changed) {
		t.Errorf("got %v", err)
	}
}

// A planted seed says nothing by which its secrets could be guessed.
func TestRedactedHasNoSignature(t *testing.T) {
	_, private := newKey(t, 1)
	redacted, err := Redacted([]byte(sign(t, Example, private)), "pgsql-n1")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(redacted, []byte("trusted comment")) {
		t.Errorf("it is\n%s", redacted)
	}
	broken := []byte(sign(t, strings.Replace(Example, "nodes:", "nodse:", 1), private))
	scrubbed, err := Scrub(broken, []byte(Example))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(scrubbed, []byte("trusted comment")) || len(scrubbed) != len(broken) {
		t.Errorf("the seed before it is\n%s", scrubbed)
	}
}

// TestNoTouchedSignature: neither an editor nor a second signing keeps a signature where
// the secrets are not.
func TestNoTouchedSignature(t *testing.T) {
	_, private := newKey(t, 1)
	signed := sign(t, minimal, private)
	for name, seed := range map[string]string{
		"a space at the end": strings.ReplaceAll(signed, "=\n", "= \n"),
		"two spaces":         strings.ReplaceAll(signed, "# ", "#  "),
		"indented":           strings.ReplaceAll(signed, "# ", "  # "),
		"no space":           strings.ReplaceAll(signed, "# ", "#"),
		"Windows":            strings.ReplaceAll(signed, "\n", "\r\n"),
		"two of them":        signed + strings.TrimPrefix(signed, minimal),
	} {
		redacted, err := Redacted([]byte(seed), "pgsql-n1")
		if err != nil {
			t.Fatal(err)
		}
		scrubbed, err := Scrub([]byte(seed), []byte(minimal))
		if err != nil {
			t.Fatal(err)
		}
		if len(scrubbed) != len(seed) {
			t.Errorf("%s: scrubbing moved something", name)
		}
		for line := range strings.Lines(strings.TrimPrefix(signed, minimal)) {
			if text := strings.TrimSpace(strings.TrimPrefix(line, "#")); bytes.Contains(redacted, []byte(text)) || bytes.Contains(scrubbed, []byte(text)) {
				t.Errorf("%s: %s stays", name, text)
			}
		}
	}
	twice := signed + strings.TrimPrefix(signed, minimal)
	if again := sign(t, twice, private, ""); again != signed {
		t.Errorf("signed again it is\n%s", again)
	}
}

func TestParseKeys(t *testing.T) {
	const password = "correct horse"
	// Encrypted with a cost that tests can bear; minisign's own takes a second and a GiB.
	const encrypted = `untrusted comment: minisign encrypted secret key
RWRTY0IyAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AgAAAAAAAAAAAAAEAAAAAJg5AM5vc1e/I1OqhiO8mxZEEfiuNo8zRRaXFV4l2W58prLEg/JhiYlQMyHu1H5cII6Hz0Nww7c5GgJl9GwKiqrrRdovKtrHPe4Bu3RhXqLy6FNelUYy7xog3431pr2PyNE07iimWie0=
`
	plain, public, err := GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	none := func() (Secret, error) { t.Error("a password was asked for"); return "", nil }
	right := func() (Secret, error) { return password, nil }
	key, err := ParsePrivateKey("a.key", plain, none)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(public), strings.ReplaceAll(string(public), "\n", "\r\n"), strings.Split(string(public), "\n")[1]} {
		if got, err := ParsePublicKey("a.pub", []byte(text)); err != nil || !got.Equal(key.Public()) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if key, err := ParsePrivateKey("a.key", []byte(encrypted), right); err != nil || KeyID(key.ID()) != "715F5DCFBB74AF39" {
		t.Errorf("got %s, %v", KeyID(key.ID()), err)
	}
	for _, c := range []struct {
		text     string
		password func() (Secret, error)
		want     string
	}{
		{encrypted, func() (Secret, error) { return "wrong horse", nil }, "the password of a.key is wrong"},
		{encrypted, func() (Secret, error) { return "", os.ErrClosed }, os.ErrClosed.Error()},
		{string(public), none, "a.key is no secret key of minisign"},
		{"", none, "a.key is no secret key of minisign"},
		{"untrusted comment: a\n????", none, "a.key is no secret key of minisign"},
	} {
		if _, err := ParsePrivateKey("a.key", []byte(c.text), c.password); err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "horse") {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	for text, want := range map[string]string{
		string(plain): "a.pub is a secret key", encrypted: "a.pub is a secret key", "": "a.pub is no public key", "ssh-ed25519 AAAA": "a.pub is no public key",
	} {
		if _, err := ParsePublicKey("a.pub", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAcceptedKey(t *testing.T) {
	root := t.TempDir()
	if key, err := AcceptedKey(root); key != nil || err != nil {
		t.Errorf("none: %v, %v", key, err)
	}
	_, public, err := GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, KeyFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	for content, isKey := range map[string]bool{string(public): true, "": false, "RWQ": false} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		key, err := AcceptedKey(root)
		if (key != nil) != isKey || (err == nil) != isKey {
			t.Errorf("%q: %v, %v", content, key, err)
		}
	}
}

// The format is minisign's, but for what makes it a comment.
func TestASignatureIsMinisigns(t *testing.T) {
	_, private := newKey(t, 1)
	signed := sign(t, Example, private)
	out, err := command.Command{Name: "sh", Args: []string{"-c", "tail -n 4 | sed 's/^# //'"}, Stdin: strings.NewReader(signed)}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	public, ok := private.Public().(minisign.PublicKey)
	if !ok || !minisign.Verify(public, []byte(Example), []byte(out)) {
		t.Errorf("minisign does not verify\n%s", out)
	}
}

// Whatever is signed verifies, signing it again changes nothing, and what else
// verifies is not told from it.
func FuzzSign(f *testing.F) {
	public, private, err := minisign.GenerateKey(bytes.NewReader(make([]byte, 64)))
	if err != nil {
		f.Fatal(err)
	}
	signed, err := Sign([]byte("a: 1\n"), private, "")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{Example, string(signed), string(signed) + "b: 2\n", string(signed[:len(signed)-1]), string(signed) + string(signed),
		strings.ReplaceAll(string(signed), "\n", "\r\n"), strings.Replace(string(signed), "# trusted", "#trusted", 1)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if IsEncrypted(data) {
			return
		}
		once, err := Sign(data, private, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify("seed.yaml", once, public); err != nil {
			t.Error(err)
		}
		again, err := Sign(once, private, "")
		if err != nil || !bytes.Equal(once, again) {
			t.Errorf("signed again it is %q, %v", again, err)
		}
		if Verify("seed.yaml", data, public) == nil && !bytes.Equal(bytes.TrimSuffix(data, []byte("\n")), bytes.TrimSuffix(once, []byte("\n"))) {
			t.Errorf("it verifies, and is not\n%s", once)
		}
	})
}
