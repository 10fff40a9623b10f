package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"banyan/internal/durable"
)

// File is a regular file. It is never seen half written or with another owner
// or mode than its own. Its directory has to be there.
type File struct {
	Path    string
	Mode    fs.FileMode // permission bits
	Owner   string      // by default root
	Group   string      // by default the owner's own
	Content string
	Secret  bool // the content is shown to nobody
}

// ID is the file's path.
func (f File) ID() string { return f.Path }

// String is the path, so that no content comes into a log by accident.
func (f File) String() string { return f.Path }

// Diff compares owner, mode and content.
func (f File) Diff(_ context.Context, m Machine, _ Changed) (string, error) {
	info, err := os.Lstat(m.path(f.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return "create " + f.metadata() + f.contentDiff(""), nil
	}
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return "", errors.New("is a directory where a file belongs")
	}
	if !info.Mode().IsRegular() {
		return "replace what is no regular file, " + f.metadata() + f.contentDiff(""), nil
	}
	diff, err := ownerDiff(m, info, f.Owner, f.Group, f.Mode)
	if err != nil {
		return "", err
	}
	old, err := os.ReadFile(m.path(f.Path))
	if err != nil {
		return "", err
	}
	if string(old) != f.Content {
		return "change " + strings.Join(append(diff, "content"), ", ") + f.contentDiff(string(old)), nil
	}
	if len(diff) > 0 {
		return "change " + strings.Join(diff, ", "), nil
	}
	return "", nil
}

// Apply writes the file beside its place, with its owner and mode, and renames it.
func (f File) Apply(_ context.Context, m Machine, _ Changed) error {
	uid, gid, err := m.owner(f.Owner, f.Group)
	if err != nil {
		return err
	}
	path := m.path(f.Path)
	t, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(f.Mode))
	if err != nil {
		return err
	}
	defer t.Cleanup() // does nothing once the file has been renamed
	if err := t.Chown(uid, gid); err != nil {
		return err
	}
	if _, err := t.WriteString(f.Content); err != nil {
		return err
	}
	if err := t.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

func (f File) metadata() string { return metadata(f.Owner, f.Group, f.Mode) }

func (f File) contentDiff(old string) string {
	if f.Secret {
		return "\n(secret)"
	}
	if d := lineDiff(old, f.Content); d != "" {
		return "\n" + d
	}
	return ""
}

// Directory is a directory; what is in it is left alone. Its parent has to be there.
type Directory struct {
	Path  string
	Mode  fs.FileMode
	Owner string // by default root
	Group string // by default the owner's own
}

// ID is the directory's path.
func (d Directory) ID() string { return d.Path }

// Diff compares owner and mode. A symbolic link in the directory's place is an
// error: following it could make root write where another user led it.
func (d Directory) Diff(_ context.Context, m Machine, _ Changed) (string, error) {
	info, err := os.Lstat(m.path(d.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return "create " + metadata(d.Owner, d.Group, d.Mode), nil
	}
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", errors.New("is not a directory: move it away")
	}
	diff, err := ownerDiff(m, info, d.Owner, d.Group, d.Mode)
	if err != nil || len(diff) == 0 {
		return "", err
	}
	return "change " + strings.Join(diff, ", "), nil
}

// Apply makes the directory or changes its owner and mode.
func (d Directory) Apply(_ context.Context, m Machine, _ Changed) error {
	uid, gid, err := m.owner(d.Owner, d.Group)
	if err != nil {
		return err
	}
	path := m.path(d.Path)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Lchown(path, uid, gid); err != nil {
		return err
	}
	if err := os.Chmod(path, d.Mode); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// Symlink is a symbolic link. It takes the place of a file.
type Symlink struct {
	Path   string
	Target string
}

// ID is the link's own path.
func (l Symlink) ID() string { return l.Path }

// Diff compares the target.
func (l Symlink) Diff(_ context.Context, m Machine, _ Changed) (string, error) {
	info, err := os.Lstat(m.path(l.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return "create link to " + l.Target, nil
	}
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return "", errors.New("is a directory where a symbolic link belongs")
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return "replace file by link to " + l.Target, nil
	}
	target, err := os.Readlink(m.path(l.Path))
	if err != nil || target == l.Target {
		return "", err
	}
	return fmt.Sprintf("change link from %s to %s", target, l.Target), nil
}

// Apply replaces what is there in one step.
func (l Symlink) Apply(_ context.Context, m Machine, _ Changed) error {
	if err := renameio.Symlink(l.Target, m.path(l.Path)); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(m.path(l.Path)))
}

func metadata(owner, group string, mode fs.FileMode) string {
	if owner == "" {
		owner = "root"
	}
	if group == "" {
		group = owner
	}
	return fmt.Sprintf("%s:%s %04o", owner, group, mode.Perm())
}

// ownerDiff says how owner and mode of what is there differ.
func ownerDiff(m Machine, info fs.FileInfo, owner, group string, mode fs.FileMode) ([]string, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("has no owner")
	}
	var diff []string
	uid, gid, err := m.owner(owner, group)
	if err != nil && !errors.Is(err, errNoAccount) {
		return nil, err
	}
	if err != nil || int(stat.Uid) != uid || int(stat.Gid) != gid {
		diff = append(diff, fmt.Sprintf("owner %d:%d to %s", stat.Uid, stat.Gid, strings.Fields(metadata(owner, group, mode))[0]))
	}
	if info.Mode().Perm() != mode.Perm() {
		diff = append(diff, fmt.Sprintf("mode %04o to %04o", info.Mode().Perm(), mode.Perm()))
	}
	return diff, nil
}

// lineDiff shows the lines that go and come between the first and the last in
// which old and new differ. It is exact, not minimal: the files are short.
func lineDiff(old, new string) string {
	a, b := lines(old), lines(new)
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var out strings.Builder
	for _, l := range a {
		fmt.Fprintf(&out, "- %s\n", l)
	}
	for _, l := range b {
		fmt.Fprintf(&out, "+ %s\n", l)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}
