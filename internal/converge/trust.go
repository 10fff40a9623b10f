package converge

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"banyan/internal/command"
)

// TrustStore is the authorities that the system's programs trust: those of the
// distribution and the *.crt files, each of one certificate, in Dir.
type TrustStore struct{ Dir string }

// bundle is what OpenSSL and Go read, made by update-ca-certificates(8).
const bundle = "/etc/ssl/certs/ca-certificates.crt"

// ID is the bundle's path.
func (TrustStore) ID() string { return bundle }

// Diff looks for each certificate in the bundle, on a live machine only: it takes a
// while to make, and nothing of the boot waits for it.
func (t TrustStore) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	all, err := os.ReadFile(m.path(bundle))
	if errors.Is(err, fs.ErrNotExist) {
		return Difference{}, skip("the package ca-certificates is not installed")
	}
	if err != nil {
		return Difference{}, err
	}
	files, err := filepath.Glob(filepath.Join(m.path(t.Dir), "*.crt"))
	if err != nil {
		return Difference{}, err
	}
	for _, name := range files {
		certificate, err := os.ReadFile(name)
		if err != nil {
			return Difference{}, err
		}
		if !bytes.Contains(all, bytes.TrimSpace(certificate)) {
			return Difference{What: "add " + filepath.Base(name)}, nil
		}
	}
	return Difference{}, nil
}

// Apply makes the bundle, and the links by which OpenSSL finds a certificate.
func (t TrustStore) Apply(ctx context.Context, m Machine, _ Changed) error {
	_, err := command.Run(ctx, "update-ca-certificates", "--localcertsdir", m.path(t.Dir))
	return err
}
