package seeds

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"aead.dev/minisign"
)

// A signed seed ends in a minisign signature of all bytes before it, as four lines
// of comment:
//
//	# untrusted comment: signature of this seed by the minisign key 0123456789ABCDEF
//	# BASE64
//	# trusted comment: TEXT
//	# BASE64
//
// Without "# " they are a signature file of minisign (its pre-hashed kind, "ED"):
// https://jedisct1.github.io/minisign/#signature-format. They are part of the seed,
// so that they get wherever it gets: a second file would be lost on the way through
// SMBIOS, fw_cfg, a credential or a URL. And they are exactly these bytes: there is
// one way to write a signature, and nothing follows it but the newline of its last
// line, which may be missing. Were the untrusted comment free, it could hold what
// YAML takes for the end of a line, such as U+2028, and keys after it that nobody
// signed.
//
// minisign itself verifies a seed with
//
//	head -n -4 seed.yaml >text; tail -n 4 seed.yaml | sed 's/^# //' >text.minisig
//	minisign -V -p seed.pub -m text
var signatureBlock = regexp.MustCompile(`(?m)^# untrusted comment: .*\n# [A-Za-z0-9+/=]+\r?\n# trusted comment: .*\n# [A-Za-z0-9+/=]+\r?(?:\n|\z)`)

// signatureLine is a line of comment that is, or was before an editor touched it, of a
// signature: in Base64 one has 88 characters or more.
var signatureLine = regexp.MustCompile(`(?im)^[ \t]*#[ \t]*(?:(?:un)?trusted comment:.*|[a-z0-9+/]{80,}={0,2}[ \t\r]*)$`)

// signatureTrace is left of a signature that was changed itself.
var signatureTrace = regexp.MustCompile(`(?m)^# (?:un)?trusted comment: `)

// defaultComment is the trusted comment where none is given. It is not empty, since
// editors remove a space at the end of a line.
const defaultComment = "banyan seed"

// trustedText is printable ASCII with no space at its ends.
var trustedText = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)

// Sign signs a seed: the result ends in the signature, in the place of an earlier
// one. comment, of which the signature makes sure too, is in printable ASCII, and has
// a default where it is "". The same input gives the same signature.
func Sign(data []byte, key minisign.PrivateKey, comment string) ([]byte, error) {
	if IsEncrypted(data) {
		return nil, errors.New("the seed is encrypted: sign it first, then encrypt it")
	}
	if comment == "" {
		comment = defaultComment
	}
	if !trustedText.MatchString(comment) {
		return nil, errors.New("the trusted comment is not in printable ASCII")
	}
	text := unsigned(data)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	signed := minisign.NewReader(bytes.NewReader(text))
	if _, err := io.Copy(io.Discard, signed); err != nil {
		return nil, err
	}
	return append(text, asComment(signed.SignWithComments(key, comment, untrustedComment(key.ID())))...), nil
}

func untrustedComment(id uint64) string {
	return "signature of this seed by the minisign key " + KeyID(id)
}

// asComment is the text of a signature as it stands in a seed.
func asComment(signature []byte) []byte {
	var block bytes.Buffer
	for line := range bytes.Lines(signature) {
		block.WriteString("# ")
		block.Write(line)
	}
	return block.Bytes()
}

// KeyID is the id of a key as minisign(1) shows it.
func KeyID(id uint64) string { return fmt.Sprintf("%016X", id) }

// findSignature is where the last signature in data begins and ends, or -1, -1.
func findSignature(data []byte) (start, end int) {
	found := signatureBlock.FindAllIndex(data, -1)
	if len(found) == 0 {
		return -1, -1
	}
	last := found[len(found)-1]
	return last[0], last[1]
}

// unsigned is data without its signatures, wherever they stand: what somebody
// appended since is signed too the next time.
func unsigned(data []byte) []byte { return signatureBlock.ReplaceAll(data, nil) }

// Verify makes sure that key signed a seed and that nobody has changed it since, by
// as much as the end of a line. name is what the error calls the file; it says
// whether the seed is not signed, is signed by another key, or was changed.
func Verify(name string, data []byte, key minisign.PublicKey) error {
	if IsEncrypted(data) {
		return fmt.Errorf("%s is encrypted, and its signature with it: decrypt it first", name)
	}
	changed := fmt.Errorf("%s was changed since it was signed (an editor, or a transfer as text, may have changed the ends of lines): "+
		"take the file as it was signed, or sign it again", name)
	start, end := findSignature(data)
	if start < 0 {
		if signatureTrace.Match(data) {
			return changed
		}
		return fmt.Errorf("%s is not signed: sign it with build seed sign, by the key %s", name, KeyID(key.ID()))
	}
	signature := minisign.Signature{}
	text := bytes.ReplaceAll(bytes.TrimPrefix(data[start:end], []byte("# ")), []byte("\n# "), []byte("\n"))
	if err := signature.UnmarshalText(text); err != nil {
		return changed
	}
	if signature.KeyID != key.ID() {
		return fmt.Errorf("%s is signed by another key: by %s, and only %s is accepted", name, KeyID(signature.KeyID), KeyID(key.ID()))
	}
	only := minisign.Signature{Algorithm: minisign.HashEdDSA, KeyID: signature.KeyID,
		UntrustedComment: untrustedComment(signature.KeyID), TrustedComment: signature.TrustedComment,
		Signature: signature.Signature, CommentSignature: signature.CommentSignature}
	written, err := only.MarshalText()
	if err != nil {
		return err
	}
	exact := bytes.Equal(bytes.TrimSuffix(asComment(written), []byte("\n")), bytes.TrimSuffix(data[start:], []byte("\n")))
	if !exact || !trustedText.MatchString(signature.TrustedComment) || !minisign.Verify(key, data[:start], written) {
		return changed
	}
	return nil
}
