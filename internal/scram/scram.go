// Package scram makes of a password the verifier that PostgreSQL keeps in its place, so
// that no SQL has to hold the password: RFC 5802 and RFC 7677.
package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/xdg-go/stringprep"

	"banyan/seeds"
)

// iterations is PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS, and the least that RFC
// 7677 allows.
const iterations = 4096

// SaltSize is how many bytes PostgreSQL's own salts have.
const SaltSize = 16

// prefix tells verifiers from passwords, as PostgreSQL does too; the rest of one was
// checked when the seed was read.
const prefix = "SCRAM-SHA-256$"

// IsVerifier tells whether a password is a verifier already.
func IsVerifier(password seeds.Secret) bool { return strings.HasPrefix(password.Reveal(), prefix) }

// NewSalt is a salt that nothing else has.
func NewSalt() []byte {
	salt := make([]byte, SaltSize)
	rand.Read(salt)
	return salt
}

// Verifier is the verifier of a password, as pg_authid has it:
// https://www.postgresql.org/docs/current/catalog-pg-authid.html
func Verifier(password seeds.Secret, salt []byte) (seeds.Secret, error) {
	salted, err := pbkdf2.Key(sha256.New, saslprep(password.Reveal()), salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	base64 := base64.StdEncoding.EncodeToString
	return seeds.Secret(fmt.Sprintf("%s%d:%s$%s:%s", prefix, iterations, base64(salt), base64(stored[:]), base64(mac(salted, "Server Key")))), nil
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

// Salt is that of a verifier, or nil.
func Salt(verifier seeds.Secret) []byte {
	_, rest, _ := strings.Cut(verifier.Reveal(), ":")
	encoded, _, _ := strings.Cut(rest, "$")
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	return salt
}
