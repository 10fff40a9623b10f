//go:build boot

package build

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"banyan/rootfs"
)

// variable is what the Makefile says in the environment.
func variable(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run make test", name)
	}
	return value
}

// program is the builder, beside which firstboot lies.
func program(t *testing.T) string {
	t.Helper()
	return variable(t, "BANYAN_BUILD")
}

// run runs a program and returns its exit code and what it said.
func run(t *testing.T, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// output runs a program that is to succeed.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(t, exec.CommandContext(t.Context(), name, args...))
	if code != 0 {
		t.Fatalf("%s: exit code %d: %s", name, code, stderr)
	}
	return stdout
}

// left lists what is in directories.
func left(t *testing.T, dirs ...string) []string {
	t.Helper()
	var names []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}

// bigDir is a directory on a disk, where everybody may go.
func bigDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "banyan-test-") //nolint:usetesting // a test's own directory is for root alone, and may be in memory
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// install copies the programs to where everybody may run them.
func install(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"build", "firstboot", "dnscp"} {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(program(t)), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// Bad input is answered with one line and exit code 1, and leaves nothing behind.
func TestBadInput(t *testing.T) {
	in := t.TempDir()
	unreadable := filepath.Join(in, "directory.yaml")
	if err := os.Mkdir(unreadable, 0o755); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(in, "full")
	if err := os.Mkdir(full, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("full", full, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(full, 0); err != nil {
			t.Error(err)
		}
	})

	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no such profile", []string{"--profile", "debian-6"}, `no profile "debian-6"; there are debian-`},
		{"no such file", []string{"--profile", filepath.Join(in, "none.yaml")}, "none.yaml: no such file"},
		{"unreadable profile", []string{"--profile", unreadable}, "is a directory"},
		{"unknown key", []string{"--profile", write(t, filepath.Join(in, "typo.yaml"), "inherits: debian-13\npartitons: {root: 1}\n")},
			`typo.yaml:2:1: unknown key "partitons", did you mean "partitions"?`},
		{"unreachable mirror", []string{"--mirror", "http://127.0.0.1:9/debian"}, "is there another mirror to name with --mirror?"},
		{"no mirror of ours", []string{"--mirror", "http://127.0.0.1:9/ubuntu"}, "is of none of the archives debian, debian-security"},
		{"wrong keyring", []string{"--keyring", "/usr/share/keyrings/debian-archive-removed-keys.gpg"}, "name the archive's keyring with --keyring"},
		{"no keyring", []string{"--keyring", "/nonexistent.gpg"}, "name another with --keyring"},
		{"full disk", []string{"--output", full}, "no space is left in " + full},
		{"root too large", []string{"--profile", write(t, filepath.Join(in, "small.yaml"), "inherits: debian-13\npartitions: {root: 99}\n")},
			"partition root-a: "},
		{"boot files too large", []string{"--profile", write(t, filepath.Join(in, "boot.yaml"), "inherits: debian-13\npartitions: {esp: 65}\n")},
			"partition ESP: "},
		{"disk too small", []string{"--size", "2G"}, "raise --size"},
		{"no format of ours", []string{"--format", "vdi"}, "raw, qcow2, vmdk"},
		{"no size", []string{"--size", "large"}, "expected a size such as 40G"},
		{"foreign cache", []string{"--cache", in}, "choose another with --cache"},
	} {
		t.Run(c.name, func(t *testing.T) {
			work, dist := bigDir(t), filepath.Join(in, "dist")
			cmd := exec.CommandContext(t.Context(), program(t), append([]string{"image", "--output", dist}, c.args...)...)
			cmd.Env = append(os.Environ(), "TMPDIR="+work)
			code, _, stderr := run(t, cmd)
			if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d:\n%s", code, stderr)
			}
			if names := left(t, work, dist, full); len(names) > 0 {
				t.Errorf("this is left: %q", names)
			}
			if _, err := os.Stat(dist); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the output directory is left: %v", err)
			}
		})
	}
}

// A build waits while another has the cache, says so, and goes on once it is free.
func TestASecondBuildWaits(t *testing.T) {
	dir := bigDir(t)
	cache := filepath.Join(dir, "cache")
	if err := os.Mkdir(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	output(t, program(t), "cache", "list", "--cache", cache)
	lock, err := os.Open(filepath.Join(cache, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}

	cmd := exec.CommandContext(t.Context(), program(t), "image", "--cache", cache, "--output", filepath.Join(dir, "dist"), "--mirror", "http://127.0.0.1:9/debian")
	cmd.Stderr = cmd.Stdout
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "waiting for another build that uses "+cache {
	}
	if lines.Text() == "" {
		t.Error("the build did not say that it waits")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	went := false
	for lines.Scan() {
		went = went || strings.HasPrefix(lines.Text(), "archives")
	}
	if err := cmd.Wait(); err == nil || !went {
		t.Errorf("after the wait it went on: %t, and ended with %v", went, err)
	}
}

func readManifest(t *testing.T, image string) rootfs.Manifest {
	t.Helper()
	content, err := os.ReadFile(image + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var m rootfs.Manifest
	if err := json.Unmarshal(content, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// What others' tools take holds the same disk, as large as was asked for.
func TestFormats(t *testing.T) {
	dir := bigDir(t)
	for _, c := range []struct{ args, suffix string }{
		{"--format qcow2 --compress zst --size 8G", ".qcow2.zst"},
		{"--format vmdk --size 8G", ".vmdk"},
	} {
		args := append([]string{"image", "--json", "--output", dir}, strings.Fields(c.args)...)
		var result rootfs.Result
		if err := json.Unmarshal([]byte(output(t, program(t), args...)), &result); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(result.Image, c.suffix) {
			t.Errorf("%s: the image is %s", c.args, result.Image)
		}
		for _, stage := range result.Stages {
			if stage.Name == "base tree" && !stage.Cached {
				t.Errorf("%s: the base tree was made again", c.args)
			}
		}
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = dir
	if code, stdout, _ := run(t, check); code != 0 || strings.Count(stdout, ": OK") != 4 {
		t.Errorf("SHA256SUMS: %s", stdout)
	}

	images, err := filepath.Glob(filepath.Join(dir, "*.zst"))
	if err != nil || len(images) != 1 {
		t.Fatal(images, err)
	}
	output(t, "zstd", "--quiet", "--decompress", "--rm", images[0])
	qcow2 := strings.TrimSuffix(images[0], ".zst")
	vmdk := strings.TrimSuffix(qcow2, ".qcow2") + ".vmdk"
	output(t, "qemu-img", "compare", qcow2, vmdk)
	disk := filepath.Join(dir, "disk")
	output(t, "qemu-img", "convert", "-O", "raw", qcow2, disk)
	if info, err := os.Stat(disk); err != nil || info.Size() != 8<<30 {
		t.Errorf("the disk: %v, %v", info, err)
	}
	if said := output(t, "sgdisk", "--verify", disk); !strings.Contains(said, "No problems found") {
		t.Errorf("the partition table: %s", said)
	}
}

// Somebody who is not root builds, from nothing at hand, the image that root has
// built, byte for byte.
func TestWithoutRoot(t *testing.T) {
	image := variable(t, "BANYAN_IMAGE")
	home := bigDir(t)
	install(t, home)
	// A user of this test alone: its mounts end with it.
	const uid = "54321"
	script := `set -e
cd "$1"
for line in passwd:builder:x:$2:$2::$1:/bin/sh group:builder:x:$2: subuid:builder:700000:65536 subgid:builder:700000:65536; do
	file=${line%%:*}
	{ cat /etc/$file; echo "${line#*:}"; } >etc-$file
	mount --bind etc-$file /etc/$file
done
install -d -o $2 -g $2 user user/tmp
exec setpriv --reuid $2 --regid $2 --clear-groups env -i HOME="$1/user" TMPDIR="$1/user/tmp" PATH=/usr/local/bin:/usr/bin:/bin \
	SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" sh -c '"$0/build" image --output "$HOME/dist"; code=$?; "$0/build" cache clear; exit $code' "$1"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--", "sh", "-c", script, "sh", home, uid)
	code, stdout, stderr := run(t, cmd)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, stderr, stdout)
	}
	// One GiB and some: it has kept a base tree and packages, and could remove them.
	if !strings.Contains(stdout, "building without root, in a user namespace") || !strings.Contains(stdout, "freed 1.") {
		t.Errorf("it said:\n%s", stdout)
	}
	if names := left(t, filepath.Join(home, "user/tmp")); len(names) > 0 {
		t.Errorf("this is left: %q", names)
	}
	name := filepath.Base(image)
	ours, roots := readManifest(t, filepath.Join(home, "user/dist", name)), readManifest(t, image)
	for file, sum := range roots.SHA256 {
		if ours.SHA256[file] != sum {
			t.Errorf("%s is another than root's", file)
		}
	}
}

// Where there can be no user namespace, root is asked for.
func TestRootIsNeeded(t *testing.T) {
	home := bigDir(t)
	install(t, home)
	// This user has no ids of his own.
	cmd := exec.CommandContext(t.Context(), "setpriv", "--reuid", "54322", "--regid", "54322", "--clear-groups",
		filepath.Join(home, "build"), "image", "--output", filepath.Join(home, "dist"))
	cmd.Env = append(os.Environ(), "HOME="+home)
	code, _, stderr := run(t, cmd)
	if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "run it with sudo") {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
}
