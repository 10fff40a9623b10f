package seeds

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// keyOptions are what may stand before a key, and whether it has a value:
// AUTHORIZED_KEYS FILE FORMAT in sshd(8). sshd minds no case in them.
var keyOptions = map[string]bool{
	"agent-forwarding": false, "cert-authority": false, "command": true, "environment": true, "expiry-time": true, "from": true,
	"no-agent-forwarding": false, "no-port-forwarding": false, "no-pty": false, "no-touch-required": false, "no-user-rc": false,
	"no-x11-forwarding": false, "permitlisten": true, "permitopen": true, "port-forwarding": false, "principals": true, "pty": false,
	"restrict": false, "tunnel": true, "user-rc": false, "verify-required": false, "x11-forwarding": false,
}

// unusableKey says why sshd would pass over a line of authorized_keys, or "". It
// is stricter than package ssh, which does not look at options. It shows nothing of
// the line, where a private key may stand, or a password.
func unusableKey(line string) string {
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		if kind := typeOfKey(line); kind != "" {
			return fmt.Sprintf("this is a key of type %s, and its line does not say so: write %s before AAAA..., as in the .pub file", kind, kind)
		}
		return "this is not a public SSH key: write the line of a .pub file, such as ssh-ed25519 AAAA... name"
	}
	if key.Type() == "ssh-dss" {
		return "sshd takes no DSA keys: make another with ssh-keygen"
	}
	for i, option := range options {
		name, value, hasValue := strings.Cut(option, "=")
		takesValue, known := keyOptions[strings.ToLower(name)]
		quoted := len(value) >= 2 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`)
		switch {
		case !known:
			return fmt.Sprintf("sshd does not know option %d of this key: AUTHORIZED_KEYS FILE FORMAT in sshd(8) has them all", i+1)
		case takesValue && !quoted:
			return fmt.Sprintf("the option %[1]s of this key needs a value in quotes: %[1]s=\"...\"", strings.ToLower(name))
		case hasValue && !takesValue:
			return fmt.Sprintf("the option %s of this key takes no value", strings.ToLower(name))
		}
	}
	return ""
}

// typeOfKey is what the encoded key in a line says of itself, or "" where there is none.
func typeOfKey(line string) string {
	for word := range strings.FieldsSeq(line) {
		if encoded, err := base64.StdEncoding.DecodeString(word); err == nil {
			if key, err := ssh.ParsePublicKey(encoded); err == nil {
				return key.Type()
			}
		}
	}
	return ""
}
