package converge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// Setting is a value of the running kernel, in a file below /proc/sys or /sys. It is
// gone with the boot; what sets it at the next one is a [File], such as of sysctl.d(5).
type Setting struct {
	Path  string // may have asterisks, as in /proc/sys/net/ipv4/conf/*/rp_filter
	Value string
	// Except are paths that the asterisks do not stand for.
	Except []string
	// Short is what it means where the kernel has taken less than Value: not an error but
	// what it could do. Without it, a value that does not stay is an error.
	Short string
}

// Sysctl is the kernel parameter of that name as sysctl(8) has it, with dots; a slash
// stands for a dot in the name of an interface.
func Sysctl(name, value string) Setting {
	return Setting{Path: "/proc/sys/" + strings.NewReplacer(".", "/", "/", ".").Replace(name), Value: value}
}

// ID is the name of a kernel parameter, or the path.
func (s Setting) ID() string {
	if name, ok := strings.CutPrefix(s.Path, "/proc/sys/"); ok {
		return "sysctl " + strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	return s.Path
}

// Diff compares the value, on a live machine only. It skips what this kernel lacks, and
// what differs and cannot be set here.
func (s Setting) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	paths, err := s.paths(m)
	if err != nil {
		return Difference{}, err
	}
	for _, path := range paths {
		now, err := s.current(path)
		if s.isGone(err) {
			continue
		}
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIO) || errors.Is(err, fs.ErrPermission) {
			return Difference{}, skip("the kernel does not let it be read: %v", err)
		}
		if err != nil {
			return Difference{}, err
		}
		if now != s.value() {
			tried, err := s.tried(m)
			if err != nil {
				return Difference{}, err
			}
			if tried.Value == s.Value && tried.Left == now {
				return Difference{}, skip("%s", tried.Reason)
			}
			if err := unix.Access(path, unix.W_OK); err != nil {
				return Difference{}, notSettable(&fs.PathError{Op: "write", Path: path, Err: err})
			}
			return Difference{What: fmt.Sprintf("change %s to %s", now, s.Value)}, nil
		}
	}
	return Difference{}, nil
}

// Apply writes the value. What the environment forbids is skipped.
func (s Setting) Apply(_ context.Context, m Machine, _ Changed) error {
	paths, err := s.paths(m)
	if err != nil {
		return err
	}
	for _, path := range paths {
		err := os.WriteFile(path, []byte(s.Value+"\n"), 0o644)
		switch {
		case s.isGone(err):
			continue
		case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
			return notSettable(err)
		case errors.Is(err, unix.EINVAL) && !strings.HasPrefix(s.Path, "/proc/sys/"):
			now, readErr := s.current(path)
			if readErr != nil {
				return readErr
			}
			return s.tell(m, now, fmt.Sprintf("this device does not take it: %v", err))
		case err != nil:
			return err
		}
		now, err := s.current(path)
		if err != nil && !s.isGone(err) {
			return err
		}
		if err == nil && s.Short != "" && now != s.value() {
			return s.tell(m, now, fmt.Sprintf("it is %s, not %s: %s", now, s.Value, s.Short))
		}
	}
	return nil
}

// try is what became of a value that the kernel did not take as it is. It is kept until
// the next boot, so that nobody tries it in vain at each run.
type try struct{ Value, Left, Reason string }

func (s Setting) triedFile(m Machine) string {
	return m.path("/run/banyan/tried/" + url.PathEscape(s.ID()))
}

// tried is the last try of this boot, if there was one.
func (s Setting) tried(m Machine) (t try, err error) {
	content, err := readIfThere(s.triedFile(m))
	if err == nil && content != "" {
		err = json.Unmarshal([]byte(content), &t)
	}
	return t, err
}

// tell keeps what became of a try, and is a skip.
func (s Setting) tell(m Machine, left, reason string) error {
	content, err := json.Marshal(try{s.Value, left, reason})
	if err != nil {
		return err
	}
	file := s.triedFile(m)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := renameio.WriteFile(file, content, 0o600, renameio.WithTempDir(filepath.Dir(file))); err != nil {
		return err
	}
	return skip("%s", reason)
}

func notSettable(err error) error { return skip("this machine does not let it be set: %v", err) }

func (s Setting) paths(m Machine) ([]string, error) {
	path := m.path(s.Path)
	if strings.Contains(path, "*") {
		paths, err := filepath.Glob(path)
		paths = slices.DeleteFunc(paths, func(p string) bool {
			return slices.ContainsFunc(s.Except, func(except string) bool { return m.path(except) == p })
		})
		if err != nil || len(paths) > 0 {
			return paths, err
		}
	} else if _, err := os.Stat(path); err == nil {
		return []string{path}, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return nil, skip("this kernel has no %s", strings.TrimPrefix(s.Path, "/proc/sys/"))
}

// isGone tells of an interface, or another of those that asterisks stand for, that went
// away since they were looked for.
func (s Setting) isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) && strings.Contains(s.Path, "*")
}

// value is as the kernel has it, with single spaces in what has several fields.
func (s Setting) value() string { return strings.Join(strings.Fields(s.Value), " ") }

// chosen is the value in a list of those that a file of /sys takes: "none [mq-deadline]".
var chosen = regexp.MustCompile(`\[([^\]]*)\]`)

// current reads a value, in the form of value. Below /proc/sys brackets are part of it.
func (s Setting) current(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if match := chosen.FindSubmatch(content); match != nil && !strings.HasPrefix(s.Path, "/proc/sys/") {
		return string(match[1]), nil
	}
	return strings.Join(strings.Fields(string(content)), " "), nil
}
