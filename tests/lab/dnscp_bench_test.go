//go:build lab

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"banyan/internal/command"
)

// BenchmarkConnectionPoint measures what comes of a callback, as the median of 20, from the
// moment that it is started:
//
//	ms/vip            until another host is answered at the VIP
//	ms/record         until the zone's server has the record
//	ms/script-vip     the same of the steps of dnscp.sh: ip, arping -c 4 twice, nsupdate
//	ms/script-record
//
// A guard is woken that is just told that its host leads.
func BenchmarkConnectionPoint(b *testing.B) {
	const times = 20
	n := newNetwork(b, prefix)
	z := newZone(b, []*network{n})
	f := newForeign(b, n, "db1", address(11))
	own := address(180)
	f.guard(fmt.Sprintf("vips: [%s]\ndns: {name: %s, zone: %s, servers: [%s], ttl: 30}\n", own, clusterName, clusterZone, n.prefix.Addr()))
	var vips, records, scriptVIPs, scriptRecords []time.Duration
	for b.Loop() {
		for range times {
			f.says.follows()
			f.wake()
			z.set(address(99))
			f.says.leads()
			took := f.timed(z, own, f.inside("/usr/bin/dnscp", "--", "on_role_change", "primary", "pgsql-cl"))
			vips, records = append(vips, took.vip), append(records, took.record)
		}
		f.says.follows()
		f.wake()
		f.sh("systemctl stop dnscp.service")
		for range times {
			f.sh(fmt.Sprintf("ip address del %s/24 dev eth0 2>/dev/null || true", own))
			z.set(address(99))
			took := f.timed(z, own, f.steps(own, n.prefix.Addr()))
			scriptVIPs, scriptRecords = append(scriptVIPs, took.vip), append(scriptRecords, took.record)
		}
	}
	median := func(unit string, all []time.Duration) {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, unit)
	}
	median("ms/vip", vips)
	median("ms/record", records)
	median("ms/script-vip", scriptVIPs)
	median("ms/script-record", scriptRecords)
	b.ReportMetric(0, "ns/op") // all of the above, and what lies between: not shown
}

// reaction is how long after a program was started something could be seen from elsewhere.
type reaction struct{ vip, record time.Duration }

// timed starts a program and looks, until both can be seen.
func (f *foreign) timed(z *zone, own netip.Addr, cmd *exec.Cmd) reaction {
	f.t.Helper()
	var r reaction
	ctx, cancel := context.WithTimeout(f.t.Context(), checkTime)
	defer cancel()
	var looking sync.WaitGroup
	began := time.Now()
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	look := func(to *time.Duration, seen func() bool) {
		looking.Go(func() {
			if poll(ctx, time.Millisecond, seen) {
				*to = time.Since(began)
			}
		})
	}
	look(&r.vip, func() bool {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		conn, err := f.network.dial(ctx, "tcp", netip.AddrPortFrom(own, 22).String())
		if err == nil {
			return conn.Close() == nil
		}
		return strings.Contains(err.Error(), "refused")
	})
	look(&r.record, func() bool { return slices.Equal(z.lookup(clusterName), []netip.Addr{own}) })
	looking.Wait()
	if err := cmd.Wait(); err != nil {
		f.t.Fatalf("%s: %v", cmd, err)
	}
	if r.vip == 0 || r.record == 0 {
		f.t.Fatalf("%s: the VIP or the record is not there after %v", cmd, checkTime)
	}
	return r
}

// inside is a program on the host, which starts as soon as one of this machine.
func (f *foreign) inside(program string, arguments ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{
		"--target", fmt.Sprint(f.container.leader), "--all", "--", program,
	}, arguments...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// steps are those of dnscp.sh, by the programs of this machine in the host's network.
func (f *foreign) steps(own, server netip.Addr) *exec.Cmd {
	f.t.Helper()
	script := filepath.Join(f.t.TempDir(), "steps")
	err := os.WriteFile(script, fmt.Appendf(nil, `set -e
ip address add %[1]s/24 dev eth0
arping -q -c 4 -U -I eth0 -s %[1]s %[1]s || true
arping -q -c 4 -A -I eth0 -s %[1]s %[1]s || true
nsupdate -v <<END
server %[2]s
zone %[3]s
update delete %[4]s A
send
update add %[4]s 30 A %[1]s
send
END
`, own, server, clusterZone, clusterName), 0o644)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := command.Run(f.t.Context(), "sh", "-c", "command -v arping nsupdate"); err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", f.id(), "sh", script)
	cmd.Stderr = os.Stderr
	return cmd
}
