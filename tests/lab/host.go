//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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
	network   *network
	name      string
	addr      netip.Prefix
	image     string // where the root of its image is mounted, that of the image under test at first
	dir       string // of its own
	kept      string // what the names of its artifacts begin with
	starts    int
	uuid      string         // of the machine, which has none where it is ""
	undo      []func() error // takes away what is there while it is on, the last first
	container *container     // nil while it is off
}

// hosts tells the hosts of this process from one another.
var hosts atomic.Int32

// newHost makes a host with that address and an empty state. It is gone when the test
// ends; if the test failed, its journal is kept and the end of it printed.
func newHost(t testing.TB, n *network, name string, addr netip.Addr) *host {
	t.Helper()
	h := &host{
		t: t, network: n, name: name, image: lab.image,
		addr: netip.PrefixFrom(addr, n.prefix.Bits()),
		dir:  filepath.Join(lab.dir, fmt.Sprintf("%d-%s", hosts.Add(1), name)),
		kept: filepath.Join(lab.artifacts, strings.ReplaceAll(t.Name(), "/", "-")+"-"+name),
	}
	for _, dir := range []string{h.root(), h.state()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(h.cleanUp)
	return h
}

// id tells the host from others of its name.
func (h *host) id() string { return filepath.Base(h.dir) }

// root is where its root is mounted while it is on.
func (h *host) root() string { return filepath.Join(h.dir, "root") }

// state is what outlives its boots, as the partition of that name.
func (h *host) state() string { return filepath.Join(h.dir, "state") }

// plant turns the host on with a seed in /etc/banyan.
func (h *host) plant(seed string) {
	h.t.Helper()
	h.boot(seedFile(seed))
}

// seedFile is a seed in /etc/banyan.
func seedFile(seed string) map[string]string { return map[string]string{"banyan/seed.yaml": seed} }

// start turns the host on.
func (h *host) start() {
	h.t.Helper()
	h.boot(nil)
}

// boot turns the host on with files in its /etc, by their paths below it.
func (h *host) boot(etc map[string]string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), bootTime)
	defer cancel()
	if err := h.turnOn(ctx, etc); err != nil {
		h.t.Fatalf("start %s: %v", h.name, err)
	}
}

// turnOn does what GRUB and the initramfs do, and starts PID 1.
func (h *host) turnOn(ctx context.Context, etc map[string]string) (err error) {
	h.starts++
	if err := h.wire(); err != nil {
		return err
	}
	if err := h.layOut(); err != nil {
		return err
	}
	if err := errors.Join(h.drop(etc), h.drop(h.machine())); err != nil {
		return err
	}
	if err := h.render(ctx); err != nil {
		return err
	}
	h.container, err = startContainer(ctx, h)
	return err
}

// wire makes the host's network namespace and plugs it in. It is made anew at each
// boot: what a host sets up in it is gone with the power.
func (h *host) wire() error {
	if err := addNamespace(h.id()); err != nil {
		return err
	}
	h.undo = append(h.undo, func() error { return deleteNamespace(h.id()) })
	return h.network.plug(h.name, h.id())
}

// layOut mounts the host's root, as its initramfs would. Its /run is in memory, and
// with it the layer over /etc.
func (h *host) layOut() error {
	root := h.root()
	if err := mount(h.image, root, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	h.undo = append(h.undo, func() error {
		_, err := command.Run(context.Background(), "umount", "--recursive", root)
		return err
	})
	if err := mount("tmpfs", filepath.Join(root, "run"), "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	state := filepath.Join(root, "run/banyan/state")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	if err := mount(h.state(), state, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return initramfs.Lay(root)
}

// machine is what has a host find the UUID of a machine where the kernel's DMI would show
// it: a layer over /sys/class.
func (h *host) machine() map[string]string {
	if h.uuid == "" {
		return nil
	}
	return map[string]string{
		"lab/dmi/id/product_uuid":                  h.uuid + "\n",
		"systemd/system/sysinit.target.d/lab.conf": "[Unit]\nWants=lab-machine.service\nAfter=lab-machine.service\n",
		"systemd/system/lab-machine.service": `[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/mount -t overlay -o lowerdir=/etc/lab:/sys/class overlay /sys/class
`,
	}
}

// drop leaves files in /etc, which is in memory, also of a host that is on.
func (h *host) drop(etc map[string]string) error {
	for path, content := range etc {
		path = filepath.Join(h.root(), "etc", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(path, "seed.yaml") {
			mode = 0o600
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			return err
		}
	}
	return nil
}

// empty removes all that is in a directory of a host that is off.
func (h *host) empty(dir string) {
	h.t.Helper()
	dir = filepath.Join(h.state(), dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			h.t.Fatal(err)
		}
	}
}

// render renders /etc before PID 1, with the host's own network interfaces in /sys.
// What is mounted for it is in a namespace that ip-netns(8) makes.
func (h *host) render(ctx context.Context) error {
	const script = `set -e
for fs in dev proc sys; do mount --rbind /$fs "$1/$fs"; done
if [ -d "$1/etc/lab" ]; then mount -t overlay -o lowerdir="$1/etc/lab:/sys/class" overlay "$1/sys/class"; fi
exec chroot "$1" /usr/sbin/firstboot render`
	_, err := command.Run(ctx, "ip", "netns", "exec", h.id(), "sh", "-c", script, "sh", h.root())
	return err
}

// dial connects from the host itself, whatever becomes of its cable.
func (h *host) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return inNamespace(h.id(), func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, network, addr) })
}

// stop presses the power button and waits until the host is off.
func (h *host) stop() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), haltTime)
	defer cancel()
	if err := errors.Join(h.container.stop(ctx), h.network.unplug(h.name), h.off()); err != nil {
		h.t.Fatalf("stop %s: %v", h.name, err)
	}
}

// kill cuts the power. The cable goes first: the kernel, which goes on, would close the
// connections of what was killed. And what was written but not flushed is not lost.
func (h *host) kill() {
	h.t.Helper()
	if err := errors.Join(h.network.unplug(h.name), h.container.kill(), h.off()); err != nil {
		h.t.Fatalf("cut the power of %s: %v", h.name, err)
	}
}

// off takes away what is there while a host is on.
func (h *host) off() (err error) {
	for _, undo := range slices.Backward(h.undo) {
		err = errors.Join(err, undo())
	}
	h.undo, h.container = nil, nil
	return err
}

func (h *host) cleanUp() {
	if h.t.Failed() {
		h.keepJournal()
	}
	if h.container != nil {
		h.kill()
	} else if err := h.off(); err != nil { // of a boot that failed
		h.t.Fatalf("clean up after %s: %v", h.name, err)
	}
	// The state of all the hosts of a run, with a swap file in each, would fill the disk.
	if err := os.RemoveAll(h.dir); err != nil {
		h.t.Errorf("clean up after %s: %v", h.name, err)
	}
}

// keepJournal keeps all of the journal and prints the end of it.
func (h *host) keepJournal() {
	journal, err := command.Run(context.Background(), "journalctl", "--directory="+filepath.Join(h.state(), "var/log/journal"),
		"--all", "--no-pager", "--output=short-precise")
	if err == nil {
		err = os.WriteFile(h.kept+".journal", []byte(journal), 0o644)
	}
	if err != nil {
		h.t.Logf("the journal of %s is lost: %v", h.name, err)
		return
	}
	lines := strings.Split(strings.TrimSpace(journal), "\n")
	h.t.Logf("the journal of %s ended with:\n%s\nall that was kept is %s*", h.name, strings.Join(lines[max(0, len(lines)-20):], "\n"), h.kept)
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
