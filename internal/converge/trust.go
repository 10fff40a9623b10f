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
// distribution, those of the administrator and the *.crt files, each of one certificate,
// in Dir.
type TrustStore struct{ Dir string }

// localCertificates are the administrator's, or were baked into the image. The place of
// update-ca-certificates for them is named ours, and so ours leads there.
const localCertificates, localLink = "/usr/local/share/ca-certificates", "local"

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
	files, err := t.files(m)
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

// files are the certificates that are not of the distribution.
func (t TrustStore) files(m Machine) ([]string, error) {
	var files []string
	for _, dir := range []string{t.Dir, localCertificates} {
		err := filepath.WalkDir(m.path(dir), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && filepath.Ext(path) == ".crt" {
				files = append(files, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return files, nil
}

// Apply makes the bundle, and the links by which OpenSSL finds a certificate.
func (t TrustStore) Apply(ctx context.Context, m Machine, _ Changed) error {
	local, err := isThere(m.path(localCertificates))
	if err != nil {
		return err
	}
	if local {
		link := Symlink{Path: filepath.Join(t.Dir, localLink), Target: m.path(localCertificates)}
		if err := link.Apply(ctx, m, nil); err != nil {
			return err
		}
	}
	_, err = command.Run(ctx, "update-ca-certificates", "--localcertsdir", m.path(t.Dir))
	return err
}
