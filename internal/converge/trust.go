package converge

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"banyan/internal/command"
	"banyan/internal/durable"
)

// TrustStore is the authorities that the system's programs trust: those of the
// distribution, those of the administrator and the files of these names, each of one
// certificate, in Dir. Other *.crt files in Dir go away.
type TrustStore struct {
	Dir   string
	Names []string
}

// localCertificates are the administrator's, or were baked into the image. The place of
// update-ca-certificates for them is named ours, and so ours leads there.
const localCertificates, localLink = "/usr/local/share/ca-certificates", "local"

// What OpenSSL and Go read, made by update-ca-certificates(8), and the programs that it
// tells of a change.
const (
	authorities = "/etc/ssl/certs"
	bundle      = authorities + "/ca-certificates.crt"
	hooks       = "/etc/ca-certificates/update.d"
)

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
	if former, err := t.former(m); err != nil || len(former) > 0 {
		return Difference{What: "take out " + baseNames(former)}, err
	}
	missing, err := t.missing(m, all)
	if err != nil || len(missing) == 0 {
		return Difference{}, err
	}
	return Difference{What: "add " + baseNames(missing)}, nil
}

// missing are the files whose certificate the bundle does not hold.
func (t TrustStore) missing(m Machine, bundle []byte) ([]string, error) {
	files, err := t.files(m)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, name := range files {
		certificate, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(bundle, bytes.TrimSpace(certificate)) {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// formerSuffix ends the name of a certificate that is being taken out of the bundle, until
// it is out: a run that is cut off is seen by it.
const formerSuffix = ".former"

// former are files in Dir that were ours once.
func (t TrustStore) former(m Machine) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(m.path(t.Dir), "*.crt*"))
	return slices.DeleteFunc(files, func(f string) bool { return slices.Contains(t.Names, filepath.Base(f)) }), err
}

func baseNames(files []string) string {
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	return strings.Join(names, ", ")
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
	former, err := t.former(m)
	if err != nil {
		return err
	}
	if done, err := t.add(ctx, m, former); done || err != nil {
		return err
	}
	local, err := durable.Exists(m.path(localCertificates))
	if err != nil {
		return err
	}
	if local {
		link := Symlink{Path: filepath.Join(t.Dir, localLink), Target: m.path(localCertificates)}
		if err := link.Apply(ctx, m, nil); err != nil {
			return err
		}
	}
	for i, file := range former {
		if filepath.Ext(file) != formerSuffix {
			former[i] += formerSuffix
			if err := os.Rename(file, former[i]); err != nil {
				return err
			}
		}
	}
	if _, err := command.Run(ctx, "update-ca-certificates", "--localcertsdir", m.path(t.Dir)); err != nil {
		return err
	}
	for _, file := range former {
		if err := durable.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// add does what update-ca-certificates does of certificates of ours that come to the
// others, and tells whether that is all there is to be done. The program looks at each of
// the others as well, which takes 20 times as long, and an image does this at each boot.
func (t TrustStore) add(ctx context.Context, m Machine, former []string) (bool, error) {
	all, err := os.ReadFile(m.path(bundle))
	if err != nil {
		return false, err
	}
	missing, err := t.missing(m, all)
	if err != nil {
		return false, err
	}
	told, err := os.ReadDir(m.path(hooks))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	notOurs := func(file string) bool { return filepath.Dir(file) != m.path(t.Dir) }
	if len(former) > 0 || len(told) > 0 || slices.ContainsFunc(missing, notOurs) {
		return false, nil
	}
	for _, file := range missing {
		certificate, err := os.ReadFile(file)
		if err != nil {
			return false, err
		}
		all = append(append(bytes.TrimSpace(all), '\n'), certificate...)
		name := filepath.Base(file)
		link := Symlink{Path: filepath.Join(authorities, strings.TrimSuffix(name, ".crt")+".pem"), Target: filepath.Join(t.Dir, name)}
		if err := link.Apply(ctx, m, nil); err != nil {
			return false, err
		}
	}
	if err := removeDangling(m.path(authorities)); err != nil { // else openssl rehash fails
		return false, err
	}
	if _, err := command.Run(ctx, "openssl", "rehash", m.path(authorities)); err != nil {
		return false, err
	}
	return true, durable.WriteFile(m.path(bundle), all, 0o644)
}

// removeDangling removes links that lead nowhere.
func removeDangling(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if _, err := os.Stat(name); e.Type()&fs.ModeSymlink != 0 && errors.Is(err, fs.ErrNotExist) {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
