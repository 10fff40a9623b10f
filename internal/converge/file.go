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

	"banyan/internal/command"
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
	Secret  bool     // the content holds secrets
	Check   []string // a program that refuses a content which is wrong, given the file's name as its last argument
}

// ID is the file's path.
func (f File) ID() string { return f.Path }

// String is the path, so that no content comes into a log by accident.
func (f File) String() string { return f.Path }

// Diff compares owner, mode and content.
func (f File) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	d := Difference{File: true, To: f.Content, Secret: f.Secret}
	info, err := os.Lstat(m.path(f.Path))
	if errors.Is(err, fs.ErrNotExist) {
		d.What = "create " + f.metadata()
		return d, nil
	}
	if err != nil {
		return Difference{}, err
	}
	if info.IsDir() {
		return Difference{}, errors.New("is a directory where a file belongs")
	}
	if !info.Mode().IsRegular() {
		d.What = "replace what is no regular file, " + f.metadata()
		return d, nil
	}
	what, err := ownerDiff(m, info, f.Owner, f.Group, f.Mode)
	if err != nil {
		return Difference{}, err
	}
	old, err := os.ReadFile(m.path(f.Path))
	if err != nil {
		return Difference{}, err
	}
	if d.From = string(old); d.From != f.Content {
		what = append(what, "content")
	}
	if len(what) == 0 {
		return Difference{}, nil
	}
	d.What = "change " + strings.Join(what, ", ")
	return d, nil
}

// Apply writes the file beside its place, with its owner and mode, has it checked, and
// renames it.
func (f File) Apply(ctx context.Context, m Machine, _ Changed) error {
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
	if len(f.Check) > 0 {
		if _, err := command.Run(ctx, f.Check[0], append(f.Check[1:len(f.Check):len(f.Check)], t.Name())...); err != nil {
			return fmt.Errorf("the new content is refused, and the old one stays: %w", err)
		}
	}
	if err := t.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

func (f File) metadata() string { return metadata(f.Owner, f.Group, f.Mode) }

// Directory is a directory; what is in it is left alone. Its parent has to be there.
type Directory struct {
	Path  string
	Mode  fs.FileMode
	Owner string // by default root
	Group string // by default the owner's own
	On    string // where the volume is mounted that it is on; off line it is not, and the directory is left alone
}

// ID is the directory's path.
func (d Directory) ID() string { return d.Path }

// Diff compares owner and mode. A symbolic link in the directory's place is an
// error: following it could make root write where another user led it.
func (d Directory) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if d.On != "" && !m.Live {
		return Difference{}, nil
	}
	info, err := os.Lstat(m.path(d.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return Difference{What: "create " + metadata(d.Owner, d.Group, d.Mode)}, nil
	}
	if err != nil {
		return Difference{}, err
	}
	if !info.IsDir() {
		return Difference{}, errors.New("is not a directory: move it away")
	}
	diff, err := ownerDiff(m, info, d.Owner, d.Group, d.Mode)
	if err != nil || len(diff) == 0 {
		return Difference{}, err
	}
	return Difference{What: "change " + strings.Join(diff, ", ")}, nil
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
func (l Symlink) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	info, err := os.Lstat(m.path(l.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return Difference{What: "create link to " + l.Target}, nil
	}
	if err != nil {
		return Difference{}, err
	}
	if info.IsDir() {
		return Difference{}, errors.New("is a directory where a symbolic link belongs")
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return Difference{What: "replace file by link to " + l.Target}, nil
	}
	target, err := os.Readlink(m.path(l.Path))
	if err != nil || target == l.Target {
		return Difference{}, err
	}
	return Difference{What: fmt.Sprintf("change link from %s to %s", target, l.Target)}, nil
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

// Absent is a file or a symbolic link that shall not be there.
type Absent struct{ Path string }

// ID is the path.
func (a Absent) ID() string { return a.Path }

// Diff looks whether it is there.
func (a Absent) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	info, err := os.Lstat(m.path(a.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return Difference{}, nil
	}
	if err == nil && info.IsDir() {
		err = errors.New("is a directory where no file belongs")
	}
	return Difference{What: "remove"}, err
}

// Apply removes it.
func (a Absent) Apply(_ context.Context, m Machine, _ Changed) error {
	return durable.Remove(m.path(a.Path))
}
