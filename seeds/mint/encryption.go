package mint

import (
	"bufio"
	"errors"
	"slices"
	"strings"
	"sync"

	"filippo.io/age"

	"banyan/seeds"
)

// Encryption is how seeds are encrypted, and for whom.
type Encryption struct {
	encrypt func([]byte) ([]byte, error) // never twice the same
	// whom tells those whom it is for from others, and is kept beside the seeds. What is
	// for others is encrypted anew.
	whom string
	// opens, unless it is nil, tells whether those can open a seed that is there. It is
	// for what whom may not say.
	opens func([]byte) bool
}

// ForRecipients encrypts for any of the recipients, which [seeds.ParseRecipients] reads.
func ForRecipients(text string) (*Encryption, error) {
	recipients, err := seeds.ParseRecipients(text)
	if err != nil {
		return nil, err
	}
	var names []string
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if name := strings.TrimSpace(lines.Text()); name != "" && name[0] != '#' {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return &Encryption{
		encrypt: func(data []byte) ([]byte, error) { return seeds.Encrypt(data, recipients...) },
		whom:    strings.Join(slices.Compact(names), ", "),
	}, nil
}

// ForPassphrase encrypts for who knows a passphrase, which takes about a second a seed.
func ForPassphrase(passphrase seeds.Secret) (*Encryption, error) {
	return forPassphrase(passphrase, 18) // age's own choice
}

// forPassphrase is ForPassphrase with the logarithm of scrypt's cost.
func forPassphrase(passphrase seeds.Secret, cost int) (*Encryption, error) {
	if passphrase == "" {
		return nil, errors.New("the passphrase is empty")
	}
	recipient, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(cost)
	identity, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return nil, err
	}
	var one sync.Mutex // scrypt takes 256 MiB at a time
	return &Encryption{
		encrypt: func(data []byte) ([]byte, error) {
			one.Lock()
			defer one.Unlock()
			return seeds.Encrypt(data, recipient)
		},
		whom: "who knows the passphrase",
		opens: func(data []byte) bool {
			_, err := seeds.Decrypt("seed", data, identity)
			return err == nil
		},
	}, nil
}
