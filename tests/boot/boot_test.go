//go:build boot

package boot

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSeedOnStick(t *testing.T) {
	t.Parallel()
	seed, disk := newSeed(t), newDisk(t)
	m := start(t, disk, uefi)
	m.waitFor(noSeed, bootTime)
	for _, place := range places {
		m.waitFor(place, time.Minute)
	}

	stick := newStick(t, seed.text)
	asMade := read(t, stick)
	m.plug(stick)
	m.waitFor(ready, birthTime)
	checkFirstBootWrites(t, m)
	n := login(t, m, seed)
	n.check()
	n.checkSecureBoot()

	n.sql("create table kept (word text); insert into kept values ('banyan') returning word")
	hosts, before := n.root("cat /etc/hosts"), n.identity()
	n.root("echo 192.0.2.1 drift >>/etc/hosts; echo drift >/etc/drift")
	const argument = "extra=1" // GRUB reads it from grubenv, with Secure Boot too
	n.root("firstboot slot arguments a " + argument)
	n = n.reboot()
	n.check()
	if got := strings.Fields(n.root("cat /proc/cmdline")); !slices.Contains(got, argument) {
		t.Errorf("after a reboot the kernel has %q, want %s there", got, argument)
	}
	if got := n.sql("select word from kept"); got != "banyan" {
		t.Errorf("after a reboot the table holds %q", got)
	}
	if got := n.root("cat /etc/hosts"); got != hosts {
		t.Errorf("after a reboot /etc/hosts is\n%s\nwant\n%s", got, hosts)
	}
	n.root("! test -e /etc/drift")
	after := n.identity()
	if after.bootID == before.bootID {
		t.Error("the machine was not rebooted")
	}
	if after.bootID = before.bootID; after != before {
		t.Errorf("after a reboot the machine is %v, was %v", after, before)
	}

	m.powerOff()
	checkBanyan(t, disk, seed)
	if !bytes.Equal(read(t, stick), asMade) {
		t.Error("the operator's stick was written to")
	}
}

// TestBrokenSeed also boots slot b, which saves a boot for that alone.
func TestBrokenSeed(t *testing.T) {
	t.Parallel()
	seed, disk := newSeed(t), newDisk(t)
	const argument = "extra=1"
	disk.fillSlotB(t, argument)
	seed.text = seed.next(t, ", gateway: 10.0.2.2", "", "{dns: [10.0.2.3]}", "{dhcp: true}")
	// The mistake is on the line of a secret, which must not be shown with it.
	const mistake = "dns_pasword"
	broken := seed.text + "  " + mistake + ": " + seed.cluster.Secrets["superuser_password"] + "\n"
	disk.dropSeed(t, broken)
	m := start(t, disk, bios)

	before, _, _ := strings.Cut(broken, mistake)
	line, column := 1+strings.Count(before, "\n"), len(before)-strings.LastIndex(before, "\n")
	checkSeedError(t, m.waitFor(seedError, bootTime), line, column, mistake)
	if ready.MatchString(m.console.String()) {
		t.Fatal("the machine took the broken seed")
	}

	// A stick mends it: nobody can reach the disk of a machine that stands in a rack.
	m.plug(newStick(t, seed.text))
	m.waitFor(ready, birthTime)
	n := login(t, m, seed)
	journal := n.root("journalctl --boot --unit banyan-plant --output cat --no-pager") + "\n"
	checkSeedError(t, seedError.FindStringSubmatch(journal), line, column, mistake)
	n.checkSecrets()
	n.checkSlots(argument)
	m.powerOff()
	checkBanyan(t, disk, seed) // the broken seed has the same secrets
	if choice, held := disk.grubenv(t, "grubenv"), disk.grubenv(t, "b/grubenv"); choice.Get("slot") != "a" || held.Get("arguments") != "x=y" {
		t.Errorf("on the ESP stand %q and %q, want slot=a and arguments=x=y", choice, held)
	}
}

// checkSeedError looks at a match of seedError.
func checkSeedError(t *testing.T, found []string, line, column int, mistake string) {
	t.Helper()
	if found == nil {
		t.Fatal("nothing says where the mistake is")
	}
	atLine, atColumn, reason, shown, caret := found[1], found[2], found[3], found[4], found[5]
	if atLine != strconv.Itoa(line) || atColumn != strconv.Itoa(column) {
		t.Errorf("the mistake is said to be at %s:%s, it is at %d:%d", atLine, atColumn, line, column)
	}
	if !strings.Contains(reason, mistake) {
		t.Errorf("the reason is %q, want it to name %q", reason, mistake)
	}
	if at := strings.Index(shown, mistake); at < 0 || at != strings.Index(caret, "^") {
		t.Errorf("the caret is not under the mistake:\n%s\n%s", shown, caret)
	}
}

func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, firmware := range []firmware{uefi, bios} {
		t.Run(string(firmware), func(t *testing.T) {
			t.Parallel()
			checkPowerCut(t, firmware, drawCut(t))
		})
	}
}

// checkPowerCut cuts the power of a first boot after so many writes and sees to
// it that the next boot ends in a working node. On UEFI the data goes to a disk of its own,
// which is formatted on the way.
func checkPowerCut(t *testing.T, firmware firmware, after int64) {
	t.Helper()
	var more extra
	var sections []string
	if firmware == uefi {
		more.dataDisks = []*dataDisk{newDataDisk(t, virtualDisk, dataSerial, 4*gibibyte)}
		sections = append(sections, "storage: {volumes: {data: {match: {serial: "+dataSerial+"}}}}\n")
	}
	seed, disk := newSeed(t, sections...), newDisk(t)
	disk.dropSeed(t, seed.text)
	first := startWith(t, disk, firmware, more)
	cutPower(t, first, after)
	if leaked := seed.cluster.Secrets.Leaked(first.console.String()); leaked != nil {
		t.Errorf("the first boot's console shows %q", leaked)
	}

	checkCarriesOn(t, disk, firmware, seed, more)
}

// checkCarriesOn boots a disk whose first boot lost its power, and sees to it that
// this ends in a working node.
func checkCarriesOn(t *testing.T, disk *disk, firmware firmware, seed *seed, more extra) {
	t.Helper()
	next := startWith(t, disk, firmware, more)
	next.waitFor(ready, birthTime)
	login(t, next, seed).check()
	next.powerOff()
	checkBanyan(t, disk, seed)
	if left := disk.readSeed(t); !strings.HasPrefix(left, "# planted on pgsql-n1") {
		t.Errorf("the seed on the BANYAN partition does not say that it was planted:\n%s", left)
	}
}

// drawCut draws how many writes a first boot may make before the power goes. Bytes
// would not do: most of them are the filling of /var.
func drawCut(t *testing.T) int64 {
	t.Helper()
	after := rand.Int64N(firstBootWrites)
	if s := os.Getenv("BANYAN_CUT_AFTER"); s != "" {
		var err error
		if after, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatalf("BANYAN_CUT_AFTER: %v", err)
		}
	}
	t.Logf("the power is cut after %d writes; to cut it there again set BANYAN_CUT_AFTER=%d", after, after)
	return after
}

// cutPower kills a machine as soon as it has made that many writes to its disk or
// is ready.
func cutPower(t *testing.T, m *machine, after int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), birthTime)
	defer cancel()
	end := make(chan error, 1)
	go func() {
		_, err := m.console.waitFor(ctx, ready)
		end <- err
	}()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for written := int64(0); written < after; {
		select {
		case err := <-end:
			if err != nil {
				t.Fatal(err)
			}
			after = 0 // it will write no more than this
		case <-poll.C:
			var err error
			if written, err = m.writes(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.kill()
	t.Logf("the power was cut when the console ended with:\n%s", m.console.tail(3))
}

// checkFirstBootWrites sees to it that the points that TestPowerCut draws are
// spread over the whole of a first boot.
func checkFirstBootWrites(t *testing.T, m *machine) {
	t.Helper()
	written, err := m.writes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a first boot makes %d writes", written)
	if written < firstBootWrites/2 || written > firstBootWrites*2 {
		t.Errorf("a first boot makes %d writes: set firstBootWrites to that, it is %d", written, firstBootWrites)
	}
}
