package scram

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"testing"
)

func decode(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSCRAM is the exchange of RFC 7677, 3: both its proofs hold by the verifier.
func TestSCRAM(t *testing.T) {
	const auth = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," +
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	verifier, err := Verifier("pencil", decode(t, "W22ZaJ0SNY7soEsUEjb6gQ=="))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.FieldsFunc(verifier.Reveal(), func(r rune) bool { return strings.ContainsRune("$:", r) })
	if len(parts) != 5 || parts[0] != "SCRAM-SHA-256" || parts[1] != "4096" || parts[2] != "W22ZaJ0SNY7soEsUEjb6gQ==" {
		t.Fatalf("it is %s", verifier.Reveal())
	}
	stored, server := decode(t, parts[3]), decode(t, parts[4])
	proof := decode(t, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	client := make([]byte, len(proof))
	subtle.XORBytes(client, proof, mac(stored, auth))
	if sum := sha256.Sum256(client); string(sum[:]) != string(stored) {
		t.Error("the client's proof is not of the stored key")
	}
	if got := base64.StdEncoding.EncodeToString(mac(server, auth)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("the server's signature is %s", got)
	}
}

// TestSASLprep: RFC 4013, 3, and what PostgreSQL does where that is silent.
func TestSASLprep(t *testing.T) {
	for password, want := range map[string]string{
		"pencil":        "pencil",
		"I\u00adX":      "IX",      // mapped to nothing
		"user":          "user",    // no transformation
		"\u00aa":        "a",       // NFKC
		"\u2168":        "IX",      // NFKC
		"\u00a0x\u3000": " x ",     // spaces
		"x\u200by":      "x y",     // a space to PostgreSQL, before it is nothing
		"\u0627\u0031":  "\u06271", // refused for its direction, and so as it stands
		"\u00aa\u0221":  "\u00aa\u0221",
		"\u00ad":        "\u00ad", // nothing would be left
		"пароль":        "пароль",
		"ﬁ\u00a0\u007f": "ﬁ\u00a0\u007f",
	} {
		if got := saslprep(password); got != want {
			t.Errorf("%q: got %q, want %q", password, got, want)
		}
	}
}

func TestVerifier(t *testing.T) {
	const ready = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if made, err := Verifier("pencil", Salt(ready)); err != nil || made != ready {
		t.Errorf("got %s, %v", made.Reveal(), err)
	}
	if !IsVerifier(ready) || IsVerifier("pencil") {
		t.Error("verifiers are not told from passwords")
	}
	if a, b := NewSalt(), NewSalt(); len(a) != SaltSize || string(a) == string(b) {
		t.Errorf("two salts are %x and %x", a, b)
	}
}
