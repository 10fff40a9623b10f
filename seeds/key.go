package seeds

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"aead.dev/minisign"
)

// KeyFile is where an image has the key of the seeds that it accepts, the text of
// a public key of minisign. It is below /usr, which is the image's own and read-only:
// /etc is rendered from the seed, which may not name its own key.
const KeyFile = "/usr/share/banyan/seed.pub"

// AcceptedKey is the key that has to have signed a seed on the system below root,
// or nil where any seed will do. A KeyFile that cannot be read is an error: then no
// seed will do.
func AcceptedKey(root string) (*minisign.PublicKey, error) {
	text, err := os.ReadFile(filepath.Join(root, KeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of seeds: %w", err)
	}
	key, err := ParsePublicKey(KeyFile, text)
	if err != nil {
		return nil, err
	}
	return &key, nil
}

// ParsePublicKey reads a public key of minisign. name is what the error calls the
// file; it holds nothing of it, which may be a secret key by mistake.
func ParsePublicKey(name string, text []byte) (minisign.PublicKey, error) {
	var key minisign.PublicKey
	if err := key.UnmarshalText(text); err != nil {
		var secret minisign.PrivateKey
		if minisign.IsEncrypted(text) || secret.UnmarshalText(text) == nil {
			return key, fmt.Errorf("%s is a secret key: name the public one, which was made with it", name)
		}
		return key, fmt.Errorf("%s is no public key of minisign: build seed keygen makes one", name)
	}
	return key, nil
}

// ParsePrivateKey reads a secret key of minisign. password is called where the key
// has one. name is what errors call the file; they hold nothing of it.
func ParsePrivateKey(name string, text []byte, password func() (Secret, error)) (minisign.PrivateKey, error) {
	if minisign.IsEncrypted(text) {
		word, err := password()
		if err != nil {
			return minisign.PrivateKey{}, err
		}
		key, err := minisign.DecryptKey(word.Reveal(), text)
		if err != nil {
			return key, fmt.Errorf("the password of %s is wrong, or the file is damaged", name)
		}
		return key, nil
	}
	var key minisign.PrivateKey
	if err := key.UnmarshalText(text); err != nil {
		return key, fmt.Errorf("%s is no secret key of minisign: build seed keygen makes one", name)
	}
	return key, nil
}

// GenerateKey makes a key pair to sign seeds with, as files of minisign. The secret
// one is encrypted with the password, unless that is empty.
func GenerateKey(password Secret) (secret, public []byte, err error) {
	key, private, err := minisign.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	if password == "" {
		secret, err = private.MarshalText()
	} else {
		secret, err = minisign.EncryptKey(password.Reveal(), private)
	}
	if err != nil {
		return nil, nil, err
	}
	public, err = key.MarshalText()
	return append(secret, '\n'), append(public, '\n'), err
}
