package mint

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/xdg-go/stringprep"

	"banyan/seeds"
)

// scramIterations is PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS, and the least that
// RFC 7677 allows.
const scramIterations = 4096

// verifierPrefix tells verifiers from passwords, as PostgreSQL does too; the rest of one
// was checked when the cluster file was read.
const verifierPrefix = "SCRAM-SHA-256$"

// scram is the verifier of a password by RFC 5802 and RFC 7677, as pg_authid has it:
// https://www.postgresql.org/docs/current/catalog-pg-authid.html
func scram(password seeds.Secret, salt []byte) (seeds.Secret, error) {
	salted, err := pbkdf2.Key(sha256.New, saslprep(password.Reveal()), salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	base64 := base64.StdEncoding.EncodeToString
	return seeds.Secret(fmt.Sprintf("%s%d:%s$%s:%s", verifierPrefix, scramIterations, base64(salt), base64(stored[:]), base64(mac(salted, "Server Key")))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// saslprep is a password as PostgreSQL and libpq prepare it, see pg_saslprep in
// src/common/saslprep.c: by RFC 4013, and as it stands where that refuses it. Of
// U+200B, which RFC 4013 maps both to nothing and to a space, they make a space.
func saslprep(password string) string {
	prepared, err := stringprep.SASLprep.Prepare(strings.ReplaceAll(password, "\u200b", " "))
	if isASCII(password) || err != nil || prepared == "" {
		return password
	}
	return prepared
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) }

// saltOf is the salt of a verifier, or nil.
func saltOf(verifier seeds.Secret) []byte {
	_, rest, _ := strings.Cut(verifier.Reveal(), ":")
	encoded, _, _ := strings.Cut(rest, "$")
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	return salt
}

// verifiers puts a verifier in the place of each password of a role. A password that has
// one already keeps it.
func (m *minting) verifiers(context.Context) error {
	for role := range items(find(find(m.tree, "postgresql"), "roles")) {
		name, password := find(role, "name"), find(role, "password")
		if password == nil || strings.HasPrefix(password.Value, verifierPrefix) {
			continue
		}
		verifier, err := m.verifier(name.Value, seeds.Secret(password.Value))
		if err != nil {
			return fmt.Errorf("the password of the role %s: %w", name.Value, err)
		}
		*password = *text(verifier.Reveal())
	}
	return nil
}

func (m *minting) verifier(role string, password seeds.Secret) (seeds.Secret, error) {
	for _, known := range slices.Concat(m.Roles, m.before.Roles) {
		if known.Name != role {
			continue
		}
		v, err := scram(password, saltOf(known.Verifier))
		if err != nil {
			return "", err
		}
		if v == known.Verifier {
			m.keep(known)
			return v, nil
		}
	}
	salt := make([]byte, 16) // as long as PostgreSQL's own
	rand.Read(salt)
	v, err := scram(password, salt)
	m.keep(Role{role, v})
	return v, err
}

func (m *minting) keep(r Role) {
	if !slices.Contains(m.Roles, r) {
		m.Roles = append(m.Roles, r)
	}
}
