package rootfs

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReadURIs(t *testing.T) {
	const out = "'http://deb.debian.org/debian/pool/main/libz/libzstd/zstd_1.5.7%2bdfsg-1_amd64.deb' zstd_1.5.7+dfsg-1_amd64.deb 756244 SHA256:aa\n" +
		"'http://deb.debian.org/debian/pool/main/u/util-linux/mount_2.41-5_amd64.deb' mount_1%3a2.41-5_amd64.deb 1 SHA256:bb\n"
	got, err := readURIs(out)
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{{"zstd", "1.5.7+dfsg-1", "amd64", "aa"}, {"mount", "1:2.41-5", "amd64", "bb"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	if _, err := readURIs("'http://x/a_1_all.deb' a_1_all.deb 1 MD5Sum:cc\n"); err == nil {
		t.Error("a package without a SHA256 passed")
	}
}

const inRelease = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: Debian
Suite: stable-updates
Date: Sat, 21 Nov 2026 14:03:05 UTC
Valid-Until: Sat, 28 Nov 2026 14:03:05 UTC
MD5Sum:
 0d2a2f4c5ed1c6fa0bd8a1bb9f1f1b3a     1108 main/binary-amd64/Packages
SHA256:
 1f5f4f3e8c8b1f1e6d8b1c8a5b6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7     1108 main/binary-amd64/Packages
 2f5f4f3e8c8b1f1e6d8b1c8a5b6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7      508 main/binary-amd64/Packages.xz
 3f5f4f3e8c8b1f1e6d8b1c8a5b6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7     1108 main/binary-arm64/Packages
 4f5f4f3e8c8b1f1e6d8b1c8a5b6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7     1108 contrib/binary-amd64/Packages
 5f5f4f3e8c8b1f1e6d8b1c8a5b6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7     1108 main/Contents-amd64.gz
-----BEGIN PGP SIGNATURE-----
`

// The key of a base changes with the packages, and not with the hour.
func TestReleaseIsKnownByItsPackages(t *testing.T) {
	p := &Profile{Settings: Settings{Architecture: "amd64", Components: []string{"main", "non-free-firmware"}}}
	got := p.indexes(inRelease)
	if len(got) != 2 || !strings.HasPrefix(got[0], " 1f5f") || !strings.HasPrefix(got[1], " 2f5f") {
		t.Errorf("got %q", got)
	}
	if date, err := releaseDate(inRelease); err != nil || !date.Equal(time.Date(2026, 11, 21, 14, 3, 5, 0, time.UTC)) {
		t.Errorf("got %v, %v", date, err)
	}
}

// What apt-get says, and what is made of it.
func TestExplain(t *testing.T) {
	for _, c := range []struct{ name, said, want string }{
		{
			name: "refused",
			said: "E: Failed to fetch http://127.0.0.1:9/debian/dists/trixie/InRelease  Unable to connect to 127.0.0.1:9:\n" +
				"E: Some index files failed to download. They have been ignored, or old ones used instead.",
			want: "cannot fetch http://127.0.0.1:9/debian/dists/trixie/InRelease (Unable to connect to 127.0.0.1:9): is the network up",
		},
		{
			name: "another's key",
			said: "W: GPG error: http://deb.debian.org/debian trixie InRelease: The following signatures couldn't be verified " +
				"because the public key is not available: NO_PUBKEY 78DBA3BC47EF2265\n" +
				"E: The repository 'http://deb.debian.org/debian trixie InRelease' is not signed.",
			want: "http://deb.debian.org/debian trixie is signed with none of the keyring's keys (The following signatures",
		},
		{
			name: "another's key, and lists of before",
			said: "W: An error occurred during the signature verification. The repository is not updated and the previous index files will be used.\n" +
				"E: Failed to fetch http://deb.debian.org/debian/dists/trixie/InRelease  The following signatures couldn't be verified " +
				"because the public key is not available: NO_PUBKEY 78DBA3BC47EF2265\n" +
				"E: Some index files failed to download. They have been ignored, or old ones used instead.",
			want: "http://deb.debian.org/debian/dists/trixie/InRelease is signed with none of the keyring's keys (The following signatures",
		},
		{
			name: "no archive",
			said: "E: The repository 'http://deb.debian.org/debain trixie Release' does not have a Release file.",
			want: "http://deb.debian.org/debain trixie Release is no signed archive",
		},
		{
			name: "no package",
			said: "E: Unable to locate package postgresql-99",
			want: "the archives have no package postgresql-99: correct the profile's packages",
		},
		{
			name: "conflict",
			said: "The following packages have unmet dependencies:\n a : Conflicts: b but 1 is to be installed\nE: Unable to correct problems",
			want: "a : Conflicts: b but 1 is to be installed: correct the profile's packages",
		},
		{name: "another", said: "E: something else", want: "E: something else"},
	} {
		got := explain(errors.New(c.said)).Error()
		if !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: got %s", c.name, got)
		}
	}
}

func TestMachineMirrors(t *testing.T) {
	stub(t, "apt-get", `echo http://near.example/debian/; echo http://near.example/other`)
	got, err := machineMirrors(t.Context())
	if want := (map[string]string{"debian": "http://near.example/debian", "other": "http://near.example/other"}); err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestArchivesAtMirrors(t *testing.T) {
	p := &Profile{Settings: Settings{Archives: []Archive{
		{URI: "http://deb.debian.org/debian", Suites: []string{"trixie"}},
		{URI: "http://deb.debian.org/debian-security", Suites: []string{"trixie-security"}},
	}}}
	near := map[string]string{"debian": "http://near.example/debian", "other": "http://near.example/other"}
	for _, c := range []struct{ mirrors, want []string }{
		{nil, []string{"http://near.example/debian", "http://deb.debian.org/debian-security"}},
		{[]string{"https://far.example/debian-security/"}, []string{"http://near.example/debian", "https://far.example/debian-security"}},
		{[]string{"debian=file:/srv/trixie", "debian-security=http://x/?a=b"}, []string{"copy:/srv/trixie", "http://x/?a=b"}},
	} {
		named, err := p.parseMirrors(c.mirrors)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.archivesAt(near, named); got[0].URI != c.want[0] || got[1].URI != c.want[1] {
			t.Errorf("%q: got %v", c.mirrors, got)
		}
	}
	for _, mirror := range []string{"http://x/ubuntu", "debian=nonsense", "kali=http://x/kali"} {
		if got, err := p.parseMirrors([]string{mirror}); err == nil {
			t.Errorf("%s: got %v", mirror, got)
		}
	}
}
