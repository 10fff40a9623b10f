//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/initramfs"
)

// How long each step may take with other hosts on the same cores.
const (
	bootTime  = 2 * time.Minute // from the power to systemd's last job
	birthTime = 5 * time.Minute // from the power or the seed to ready
	haltTime  = 2 * time.Minute // from the power button to the end
	checkTime = time.Minute     // whatever is looked at on a node that is up
)

// host is a machine of the lab, which is on or off. It fails its test by itself where
// it does not do what it is asked to.
type host struct {
	t         testing.TB
	name      string
	addr      netip.Prefix
	namespace string // of its network
	root      string // where its root is while it is on
	state     string // what outlives its boots, as the partition of that name
	kept      string // what the names of its artifacts begin with
	starts    int
	mounted   bool       // the root is there
	container *container // nil while it is off
}

// hosts tells the hosts of this process from one another.
var hosts atomic.Int32

// newHost makes a host with that address and an empty state. It is gone when the test
// ends; if the test failed, its journal is kept and the end of it printed.
func newHost(t testing.TB, n *network, name string, addr netip.Addr) *host {
	t.Helper()
	dir := filepath.Join(lab.dir, fmt.Sprintf("%d-%s", hosts.Add(1), name))
	h := &host{
		t: t, name: name,
		addr:  netip.PrefixFrom(addr, n.prefix.Bits()),
		root:  filepath.Join(dir, "root"),
		state: filepath.Join(dir, "state"),
		kept:  filepath.Join(lab.artifacts, strings.ReplaceAll(t.Name(), "/", "-")+"-"+name),
	}
	for _, dir := range []string{h.root, h.state} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.namespace = n.plug(name)
	t.Cleanup(h.cleanUp)
	return h
}

// plant turns the host on with a seed in /etc/banyan.
func (h *host) plant(seed string) {
	h.t.Helper()
	h.boot(seed)
}

// start turns the host on.
func (h *host) start() {
	h.t.Helper()
	h.boot("")
}

// boot does what GRUB and the initramfs do, and starts PID 1.
func (h *host) boot(seed string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), bootTime)
	defer cancel()
	h.starts++
	err := h.layOut()
	if err == nil && seed != "" {
		err = h.drop(seed)
	}
	if err == nil {
		err = h.render(ctx)
	}
	if err == nil {
		h.container, err = startContainer(ctx, h)
	}
	if err != nil {
		h.t.Fatalf("start %s: %v", h.name, err)
	}
}

// layOut mounts the host's root, as its initramfs would. Its /run is in memory, and
// with it the layer over /etc.
func (h *host) layOut() error {
	if err := mount(lab.image, h.root, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	h.mounted = true
	if err := mount("tmpfs", filepath.Join(h.root, "run"), "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	state := filepath.Join(h.root, "run/banyan/state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	if err := mount(h.state, state, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return initramfs.Lay(h.root)
}

// drop leaves a seed in /etc/banyan, which is in memory.
func (h *host) drop(seed string) error {
	dir := filepath.Join(h.root, "etc/banyan")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "seed.yaml"), []byte(seed), 0o600)
}

// render renders /etc before PID 1, with the host's own network interfaces in /sys.
// What is mounted for it is in a namespace that ip-netns(8) makes.
func (h *host) render(ctx context.Context) error {
	const script = `set -e
for fs in dev proc sys; do mount --rbind /$fs "$1/$fs"; done
exec chroot "$1" /usr/sbin/firstboot render`
	_, err := command.Run(ctx, "ip", "netns", "exec", h.namespace, "sh", "-c", script, "sh", h.root)
	return err
}

// stop presses the power button and waits until the host is off.
func (h *host) stop() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), haltTime)
	defer cancel()
	if err := errors.Join(h.container.stop(ctx), h.off()); err != nil {
		h.t.Fatalf("stop %s: %v", h.name, err)
	}
}

// kill cuts the power. What was written and not flushed is there all the same: the
// kernel goes on.
func (h *host) kill() {
	h.t.Helper()
	if err := errors.Join(h.container.kill(), h.off()); err != nil {
		h.t.Fatalf("cut the power of %s: %v", h.name, err)
	}
}

// off takes away what a host has mounted while it is on.
func (h *host) off() error {
	h.container = nil
	if !h.mounted {
		return nil
	}
	h.mounted = false
	_, err := command.Run(context.Background(), "umount", "--recursive", h.root)
	return err
}

func (h *host) cleanUp() {
	if h.t.Failed() {
		h.keepJournal()
	}
	var err error
	if h.container != nil {
		err = h.container.kill()
	}
	if err := errors.Join(err, h.off()); err != nil {
		h.t.Errorf("clean %s up: %v", h.name, err)
	}
}

// keepJournal keeps all of the journal and prints the end of it.
func (h *host) keepJournal() {
	journal, err := command.Run(context.Background(), "journalctl", "--directory="+filepath.Join(h.state, "var/log/journal"),
		"--all", "--no-pager", "--output=short-precise")
	if err == nil {
		err = os.WriteFile(h.kept+".journal", []byte(journal), 0o644)
	}
	if err != nil {
		h.t.Logf("the journal of %s is lost: %v", h.name, err)
		return
	}
	lines := strings.Split(strings.TrimSpace(journal), "\n")
	h.t.Logf("the journal of %s ended with:\n%s\nall that was kept is %s*", h.name, strings.Join(lines[max(0, len(lines)-60):], "\n"), h.kept)
}

// sh runs a shell script as root on the host and returns what it wrote to its
// standard output.
func (h *host) sh(script string) string {
	h.t.Helper()
	return h.shWithin(checkTime, script)
}

func (h *host) shWithin(limit time.Duration, script string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeoutCause(h.t.Context(), limit, fmt.Errorf("not done after %v", limit))
	defer cancel()
	out, err := h.container.run(ctx, script)
	if err != nil {
		h.t.Fatalf("%s on %s: %v", script, h.name, err)
	}
	return out
}

// waitReady waits until the node is done and serves.
func (h *host) waitReady() {
	h.t.Helper()
	h.shWithin(birthTime, "firstboot status --wait >&2")
}
