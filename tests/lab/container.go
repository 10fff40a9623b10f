//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// container is what runs on a host: its PID 1 and all that it started.
type container struct {
	nspawn *os.Process
	leader int // its PID 1, as seen from here
	exited chan struct{}
	exit   error // once exited is closed
}

// startContainer starts the PID 1 of a host whose root is laid out, and returns when
// systemd has done all the jobs of its boot.
func startContainer(ctx context.Context, h *host) (c *container, err error) {
	socket := filepath.Join(h.dir, "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, notify.Close(), os.Remove(socket)) }()
	cgroup := filepath.Join(lab.cgroup, h.id())
	if err := os.Mkdir(cgroup, 0o755); err != nil {
		return nil, err
	}
	group, err := os.Open(cgroup)
	if err != nil {
		return nil, err
	}
	defer group.Close() // nothing was written
	console, err := os.Create(fmt.Sprintf("%s-%d.console", h.kept, h.starts))
	if err != nil {
		return nil, err
	}

	cmd := exec.Command("systemd-nspawn", "--directory="+h.root(), "--boot",
		// Several hosts may have one name. The image gives it that of the seed.
		"--machine="+h.id(), "--hostname=localhost",
		// No machined, and no systemd that would give it a scope: the control group is the one it is started in.
		"--register=no", "--keep-unit",
		"--network-namespace-path="+filepath.Join(namespaces, h.id()), "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
		// The image knows what these are.
		"--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--notify-ready=yes", "--console=pipe")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket,
		"SYSTEMD_NSPAWN_LOCK=0",                   // the hosts' roots are one
		"SYSTEMD_NSPAWN_API_VFS_WRITABLE=network") // net.* of /proc/sys
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, console.Close(), os.Remove(cgroup))
	}
	c = &container{nspawn: cmd.Process, exited: make(chan struct{})}
	go func() {
		c.exit = errors.Join(cmd.Wait(), console.Close(), removeCgroup(cgroup))
		close(c.exited)
	}()
	if err := c.waitBooted(ctx, notify); err != nil {
		return nil, errors.Join(err, c.kill())
	}
	return c, nil
}

// waitBooted waits for what systemd-nspawn reports by sd_notify(3): which process
// the leader is, and, when that says so itself, that the system is up.
func (c *container) waitBooted(ctx context.Context, notify *net.UnixConn) error {
	stop := context.AfterFunc(ctx, func() { _ = notify.SetReadDeadline(time.Now()) }) // fails only where it is closed
	defer stop()
	go func() {
		<-c.exited
		_ = notify.SetReadDeadline(time.Now()) // likewise
	}()
	buffer := make([]byte, 4096)
	for {
		n, err := notify.Read(buffer)
		if err != nil {
			select {
			case <-c.exited:
				return fmt.Errorf("systemd-nspawn ended before the system was up: %w", c.exit)
			default:
				return fmt.Errorf("the system is not up: %w", errors.Join(context.Cause(ctx), err))
			}
		}
		lines := strings.Split(string(buffer[:n]), "\n")
		for _, line := range lines {
			if pid, ok := strings.CutPrefix(line, "X_NSPAWN_LEADER_PID="); ok {
				if c.leader, err = strconv.Atoi(pid); err != nil {
					return fmt.Errorf("systemd-nspawn reports %q: %w", line, err)
				}
			}
		}
		if slices.Contains(lines, "READY=1") && c.leader != 0 {
			return nil
		}
	}
}

// run runs a shell script as root in the container and returns what it wrote to its
// standard output.
func (c *container) run(ctx context.Context, script string) (string, error) {
	out, err := command.Command{
		Name: "nsenter",
		Args: []string{"--target", strconv.Itoa(c.leader), "--all", "--",
			"env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8", "bash", "-eu"},
		Stdin: strings.NewReader(script),
	}.Run(ctx)
	return strings.TrimSpace(out), err
}

// stop has the leader turn the system off. One that does not is killed.
func (c *container) stop(ctx context.Context) error {
	if err := c.nspawn.Signal(unix.SIGTERM); err != nil { // the power button: systemd-nspawn(1), --kill-signal=
		return err
	}
	select {
	case <-c.exited:
		return c.exit
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("the system does not turn itself off: %w", context.Cause(ctx)), c.kill())
	}
}

// kill kills the leader, and so all that is in the container, at once.
func (c *container) kill() error {
	if c.leader == 0 { // it was never heard of, and is killed with this process at last
		if err := c.nspawn.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	} else if err := unix.Kill(c.leader, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-c.exited:
			return nil
		case <-again.C:
			if err := reapOrphans(); err != nil {
				return err
			}
		}
	}
}

// reapOrphans takes note of the end of what a script in a container left to this
// process, PID 1 of the lab, when the nsenter before it was ended for its time. Until
// then the container's own PID 1 cannot end: pid_namespaces(7).
func reapOrphans() error {
	all, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return err
	}
	for _, name := range all {
		status, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) { // it is gone by now
			continue
		}
		if err != nil {
			return err
		}
		fields := map[string][]string{}
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(line, ":")
			fields[key] = strings.Fields(value)
		}
		// What this process has started itself is in its own namespace, and has one id.
		ids := fields["NSpid"]
		if len(ids) < 2 || fields["State"][0] != "Z" || fields["PPid"][0] != strconv.Itoa(os.Getpid()) {
			continue
		}
		pid, err := strconv.Atoi(ids[0])
		if err != nil {
			return err
		}
		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != nil && !errors.Is(err, unix.ECHILD) {
			return err
		}
	}
	return nil
}

// removeCgroup removes a control group and those below it, which are empty.
func removeCgroup(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	for _, dir := range slices.Backward(dirs) {
		err = errors.Join(err, os.Remove(dir))
	}
	return err
}
