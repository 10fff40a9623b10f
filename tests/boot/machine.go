//go:build boot

package boot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// firmware is what starts a machine.
type firmware string

// The firmware that servers have.
const (
	bios firmware = "BIOS"
	uefi firmware = "UEFI"
)

// UEFI's code and the variables that a new machine has: Microsoft's keys are
// enrolled, and Secure Boot is on.
const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
)

// forwarded are the guest's ports that a loopback port of the host leads to.
var forwarded = []int{sshPort, postgresPort, patroniPort}

const (
	sshPort      = 22
	postgresPort = 5432
	patroniPort  = 8008
)

// machine is a running server. It fails its test by itself where it does not do
// what it is asked to.
type machine struct {
	console *console
	t       testing.TB
	disk    *disk
	extra   extra
	keys    io.Writer // of the terminal on its serial port
	qmp     *qmp
	process *os.Process
	addr    map[int]string // loopback addresses by the guest's port
	kept    string         // what the names of its artifacts begin with
	exited  chan struct{}
	exit    error // once exited is closed
}

// extra is what a machine has that others have not.
type extra struct {
	network   string      // options of QEMU's user network, in place of restrict=on
	dataDisks []*dataDisk // beside the disk that it boots from
	watchdog  bool        // a timer that resets a machine which hangs
	log       string      // an empty file, in which each write to the disk is logged: package logwrites
	args      []string    // more of QEMU's arguments
}

// start turns on a machine with that disk. It is gone when the test ends; if the
// test failed, the last of its console is printed and its screen is kept.
func start(t testing.TB, disk *disk, firmware firmware) *machine {
	t.Helper()
	return startWith(t, disk, firmware, extra{})
}

// startWith is start for a machine that has more.
func startWith(t testing.TB, disk *disk, firmware firmware, extra extra) *machine {
	t.Helper()
	disk.starts++
	name := fmt.Sprintf("%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), disk.starts)
	m := &machine{
		t: t, disk: disk, extra: extra,
		addr:   freeAddresses(t, forwarded),
		kept:   filepath.Join(artifacts(t), name),
		exited: make(chan struct{}),
	}
	log, err := os.Create(m.kept + ".console")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	m.console = newConsole(log)

	monitor, theirs := socketPair(t)
	cmd := exec.Command("qemu-system-x86_64", m.arguments(firmware)...)
	cmd.Stdout = m.console
	if m.keys, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{theirs} // file descriptor 3
	started := make(chan error)
	go m.run(cmd, started)
	if err := errors.Join(<-started, theirs.Close()); err != nil {
		t.Fatalf("start a machine: %v", err)
	}
	t.Cleanup(m.cleanUp)
	if m.qmp, err = newQMP(t.Context(), monitor); err != nil {
		m.kill()
		t.Fatalf("%v; %v", err, m.exit)
	}
	return m
}

// arguments is QEMU's command line: a server of the kind that the image is for,
// with nothing that QEMU would add by itself.
func (m *machine) arguments(firmware firmware) []string {
	args := []string{
		"-nodefaults", "-display", "none", "-no-user-config",
		"-machine", "q35", "-accel", accelerator(), "-cpu", processor(), "-smp", processors(), "-m", "2G",
		"-device", "VGA", "-device", "qemu-xhci,id=usb",
		"-device", "virtio-rng-pci",
		"-blockdev", m.blockdev(),
		"-device", "virtio-blk-pci,id=disk,drive=disk,bootindex=0,write-cache=on",
		// As in an air-gapped rack, nothing but the forwarded ports leads in or out.
		"-netdev", "user,id=net," + cmp.Or(m.extra.network, "restrict=on") + m.forwards(), "-device", "virtio-net-pci,netdev=net",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=control",
	}
	args = append(args, dataDiskArguments(m.extra.dataDisks)...)
	if m.extra.watchdog {
		args = append(args, watchdogArguments()...)
	}
	args = append(args, m.extra.args...)
	if firmware == uefi {
		vars := filepath.Join(m.t.TempDir(), "vars.fd")
		run(m.t, "cp", ovmfVars, vars)
		args = append(args,
			// The firmware writes its variables in system management mode, and nobody else can.
			"-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
			"-drive", "if=pflash,format=raw,readonly=on,file="+ovmfCode,
			"-drive", "if=pflash,format=raw,file="+vars)
	}
	return args
}

// blockdev is the disk, with a log of what is written to it where one is wanted. What
// the guest discards is discarded then, so that the log has that too.
func (m *machine) blockdev() string {
	if m.extra.log == "" {
		return "raw,node-name=disk,cache.direct=off,file.driver=file,file.filename=" + m.disk.path
	}
	return "blklogwrites,node-name=disk,discard=unmap,log-sector-size=512" +
		",file.driver=raw,file.discard=unmap,file.file.driver=file,file.file.discard=unmap,file.file.filename=" + m.disk.path +
		",log.driver=file,log.filename=" + m.extra.log
}

func (m *machine) forwards() string {
	var s strings.Builder
	for port, addr := range m.addr {
		fmt.Fprintf(&s, ",hostfwd=tcp:%s-10.0.2.15:%d", addr, port)
	}
	return s.String()
}

// processors is how many a machine has. Emulated ones trip over each other where the
// kernel patches its own code, as when the first control group gets a limit of memory:
// one in some twenty boots of two processors ended in "Oops: int3".
func processors() string {
	if accelerator() == emulated {
		return "1"
	}
	return "2"
}

// processor is the kind that a machine has: all that QEMU knows to be. An emulator writes
// single bytes in what is the fastest way to clear memory on a processor with ERMS, and
// the kernel clears all memory that it gives away: a quarter of a boot went there.
func processor() string {
	if accelerator() == emulated {
		return "max,erms=off"
	}
	return "max"
}

const emulated = "tcg,thread=multi"

// accelerator asks the processor too: a host may have a /dev/kvm that opens, and
// yet cannot run a guest's firmware.
func accelerator() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || !regexp.MustCompile(`(?m)^flags\s*:.*\b(vmx|svm)\b`).Match(info) {
		return emulated
	}
	if unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil {
		return emulated
	}
	return "kvm"
}

// run runs QEMU to its end.
func (m *machine) run(cmd *exec.Cmd, started chan<- error) {
	// Should the test binary be killed, the kernel kills QEMU. It counts as dead
	// when the thread that started QEMU is.
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Start()
	m.process = cmd.Process
	started <- err
	if err != nil {
		return
	}
	if err := cmd.Wait(); err != nil {
		m.exit = fmt.Errorf("qemu: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	m.console.close(cmp.Or(m.exit, errors.New("the machine is off")))
	close(m.exited)
}

func (m *machine) cleanUp() {
	if m.t.Failed() {
		if m.running() && m.qmp != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			screen := map[string]string{"filename": m.kept + ".png", "format": "png"}
			if err := m.qmp.execute(ctx, "screendump", screen, nil); err != nil {
				m.t.Log(err)
			}
		}
		m.t.Logf("the console ended with:\n%s\nall that was kept is %s.*", m.console.tail(60), m.kept)
	}
	if m.running() {
		m.kill()
	}
}

func (m *machine) running() bool {
	select {
	case <-m.exited:
		return false
	default:
		return true
	}
}

// kill cuts the power: what the guest holds in memory is gone.
func (m *machine) kill() {
	m.t.Helper()
	if err := m.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		m.t.Errorf("kill qemu: %v", err)
	}
	<-m.exited
}

// quit stops the machine where it is, as kill does, and lets QEMU finish its log.
func (m *machine) quit() {
	m.t.Helper()
	if err := m.qmp.execute(m.t.Context(), "quit", nil, nil); err != nil {
		m.t.Fatal(err)
	}
	<-m.exited
	if m.exit != nil {
		m.t.Error(m.exit)
	}
}

// powerOff presses the power button and waits until the machine is off.
func (m *machine) powerOff() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), haltTime)
	defer cancel()
	if err := m.qmp.execute(ctx, "system_powerdown", nil, nil); err != nil {
		m.t.Fatal(err)
	}
	var shutdown struct {
		Guest  bool   `json:"guest"`
		Reason string `json:"reason"`
	}
	if err := m.qmp.waitEvent(ctx, "SHUTDOWN", &shutdown); err != nil {
		m.t.Fatalf("the machine did not turn itself off within %v of its power button: %v", haltTime, err)
	}
	if !shutdown.Guest {
		m.t.Errorf("the machine went off by %s, not by itself", shutdown.Reason)
	}
	<-m.exited
	if m.exit != nil {
		m.t.Error(m.exit)
	}
}

// waitFor waits for a line on the console.
func (m *machine) waitFor(re *regexp.Regexp, within time.Duration) []string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), within)
	defer cancel()
	match, err := m.console.waitFor(ctx, re)
	if err != nil {
		m.t.Fatal(err)
	}
	return match
}

// answer waits until the console asks for something, and types it.
func (m *machine) answer(question, text string, within time.Duration) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), within)
	defer cancel()
	c := m.console
	err := c.wait(ctx, func() (bool, error) { return bytes.Contains(c.text[c.seen:], []byte(question)), c.end })
	if err != nil {
		m.t.Fatalf("wait for %q on the console: %v", question, err)
	}
	// The terminal ceases to echo once the question is out; no person is so quick.
	<-time.After(3 * time.Second)
	if _, err := io.WriteString(m.keys, text+"\r"); err != nil {
		m.t.Fatal(err)
	}
}

// waitReset waits until the guest has reset the machine. What the console showed
// before is not waited for any more: it may be said again after.
func (m *machine) waitReset() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), haltTime)
	defer cancel()
	if err := m.qmp.waitEvent(ctx, "RESET", nil); err != nil {
		m.t.Fatal(err)
	}
	m.console.skip()
}

// writes is how many writes were made to the disks since the power came.
func (m *machine) writes(ctx context.Context) (int64, error) {
	return m.qmp.writes(ctx)
}

// plug puts a USB stick in.
func (m *machine) plug(stick string) {
	m.t.Helper()
	type object = map[string]any
	for _, c := range []struct {
		command   string
		arguments object
	}{
		{"blockdev-add", object{"node-name": "stick", "driver": "raw", "file": object{"driver": "file", "filename": stick}}},
		{"device_add", object{"id": "stick", "driver": "usb-storage", "bus": "usb.0", "drive": "stick", "removable": true}},
	} {
		if err := m.qmp.execute(m.t.Context(), c.command, c.arguments, nil); err != nil {
			m.t.Fatal(err)
		}
	}
}
