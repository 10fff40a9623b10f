//go:build lab

package lab

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// recordZone is the zone of these servers, and recordName a name in it.
const (
	recordZone = "pg.test"
	recordName = "pgsql-cl.pg.test"
)

// startTime is how long a server may take to answer, and a program on its host to end.
const startTime = 3 * time.Minute

// nameserver is a host with a server of DNS, which all in its network and beyond the router
// may ask: a namespace of its own with a program of serverTree in it, and no more.
type nameserver struct {
	t       testing.TB
	network *network
	name    string // of the host, which is ns1 or dc1
	zone    string
	addr    netip.Addr
	dir     string // of its own, /srv as its programs have it
	cgroup  string
	server  *exec.Cmd     // nil before it is started
	ended   chan struct{} // once it has
}

// nameservers tells those of this process from one another.
var nameservers atomic.Int32

// newNameserver makes one that nothing runs on yet. It is gone when the test ends.
func newNameserver(t testing.TB, n *network, name string, addr netip.Addr) *nameserver {
	t.Helper()
	s := &nameserver{t: t, network: n, name: name, zone: recordZone, addr: addr,
		dir: filepath.Join(lab.dir, fmt.Sprintf("dns%d-%s", nameservers.Add(1), name))}
	s.cgroup = filepath.Join(lab.cgroup, s.id())
	if err := errors.Join(os.Mkdir(s.dir, 0o755), os.Mkdir(s.cgroup, 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(removeCgroup(s.cgroup), os.RemoveAll(s.dir)); err != nil {
			t.Error(err)
		}
	})
	if err := addNamespace(s.id()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := deleteNamespace(s.id()); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(n.plug(s.port(), s.id()), ip(s.id(),
		"link set lo up", fmt.Sprintf("address add %s/%d dev eth0", addr, n.prefix.Bits()), "link set eth0 up",
		fmt.Sprintf("route add default via %s", n.prefix.Addr()))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.keepLog)
	t.Cleanup(s.kill)
	s.write("resolv.conf", fmt.Sprintf("nameserver %s\n", addr))
	s.write("hosts", fmt.Sprintf("127.0.0.1 localhost\n%s %s.%s %[2]s\n", addr, name, s.zone))
	return s
}

// id is the name of its namespace.
func (s *nameserver) id() string { return filepath.Base(s.dir) }

// port is the bridge's, which no host's name may be.
func (s *nameserver) port() string { return strings.ReplaceAll("ns-"+s.id(), "dns", "") }

// write writes a file of its own.
func (s *nameserver) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// inTree is a script that runs a program on the host. What it mounts is in the namespace that
// ip-netns(8) makes for it, and what programs leave outside of /srv in memory. The names of the tree
// and of the host and its directory come before the program.
const inTree = `set -e
tree=$1 name=$2 dir=$3
shift 3
hostname "$name"
mount --bind "$tree" "$tree"
mount -o remount,bind,ro "$tree"
for fs in dev proc; do mount --rbind /$fs "$tree/$fs"; done
for memory in run tmp var/cache var/lib/samba var/log; do mount -t tmpfs -o mode=755 tmpfs "$tree/$memory"; done
mount --bind "$dir" "$tree/srv"
for file in resolv.conf hosts; do mount --bind "$dir/$file" "$tree/etc/$file"; done
exec chroot "$tree" env --ignore-environment PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 "$@"`

// args are those of ip(8) to run a program on the host.
func (s *nameserver) args(program ...string) []string {
	s.t.Helper()
	tree, err := serverTree()
	if err != nil {
		s.t.Fatal(err)
	}
	return append([]string{"netns", "exec", s.id(), "unshare", "--uts", "sh", "-c", inTree, "sh", tree, s.name, s.dir}, program...)
}

// run runs a program on the host until it ends.
func (s *nameserver) run(program ...string) {
	s.t.Helper()
	args := s.args(program...) // which may take longer, at first
	ctx, cancel := context.WithTimeout(s.t.Context(), startTime)
	defer cancel()
	if _, err := command.Run(ctx, "ip", args...); err != nil {
		s.t.Fatal(err)
	}
}

// start starts the server, and returns when it answers for its zone.
func (s *nameserver) start(program ...string) {
	s.t.Helper()
	group, err := os.Open(s.cgroup)
	if err != nil {
		s.t.Fatal(err)
	}
	defer group.Close() // nothing was written
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.server = exec.Command("ip", s.args(program...)...)
	s.server.Stdout, s.server.Stderr = log, log
	s.server.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	if err := s.server.Start(); err != nil {
		s.t.Fatal(errors.Join(err, log.Close()))
	}
	s.ended = make(chan struct{})
	go func() {
		_, _ = s.server.Wait(), log.Close() // it is told by its exit or its silence
		close(s.ended)
	}()
	until(s.t, startTime, func(ctx context.Context) error {
		answer, err := s.ask(ctx, s.zone, dns.TypeSOA)
		if err == nil && len(answer.Answer) == 0 {
			err = fmt.Errorf("%s does not serve %s: %s", s.name, s.zone, dns.RcodeToString[answer.Rcode])
		}
		select {
		case <-s.ended:
			s.t.Fatalf("the server of %s has ended: %v", s.name, s.server.ProcessState)
		default:
		}
		return err
	})
}

// ask asks the server, from the network that it is in.
func (s *nameserver) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := s.network.dial(ctx, "tcp", netip.AddrPortFrom(s.addr, 53).String())
	if err != nil {
		return nil, err
	}
	c := &dns.Conn{Conn: conn}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	if err := errors.Join(c.SetDeadline(deadline), c.WriteMsg(new(dns.Msg).SetQuestion(dns.Fqdn(name), kind))); err != nil {
		return nil, err
	}
	return c.ReadMsg()
}

// lookup is the addresses that the server has for a name, sorted.
func (s *nameserver) lookup(name string) []netip.Addr {
	s.t.Helper()
	addrs, err := s.addresses(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return addrs
}

func (s *nameserver) addresses(ctx context.Context, name string) (addrs []netip.Addr, err error) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := s.ask(ctx, name, kind)
		if err != nil {
			return nil, fmt.Errorf("ask %s for %s: %w", s.name, name, err)
		}
		for _, rr := range answer.Answer {
			var ip []byte
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A
			case *dns.AAAA:
				ip = rr.AAAA
			}
			if addr, ok := netip.AddrFromSlice(ip); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs, nil
}

// freeze stops the server in the middle of what it does, as SIGSTOP does a process, or has it
// go on: https://docs.kernel.org/admin-guide/cgroup-v2.html. Its kernel goes on taking connections.
func (s *nameserver) freeze(frozen bool) {
	s.t.Helper()
	state := "0"
	if frozen {
		state = "1"
	}
	if err := os.WriteFile(filepath.Join(s.cgroup, "cgroup.freeze"), []byte(state), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.await("frozen " + state)
}

// kill kills all that runs on the host. Where nothing does, there is nothing to do.
func (s *nameserver) kill() {
	s.t.Helper()
	if s.server == nil {
		return
	}
	if err := os.WriteFile(filepath.Join(s.cgroup, "cgroup.kill"), []byte("1"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	<-s.ended
	s.await("populated 0")
	s.server = nil
}

// await waits until the control group says that.
func (s *nameserver) await(event string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), checkTime) // it is also done when the test has ended
	defer cancel()
	var events []byte
	if !poll(ctx, 10*time.Millisecond, func() bool {
		var err error
		if events, err = os.ReadFile(filepath.Join(s.cgroup, "cgroup.events")); err != nil {
			s.t.Fatal(err)
		}
		return slices.Contains(strings.Split(string(events), "\n"), event)
	}) {
		s.t.Fatalf("%s is not %s: %s", s.name, event, events)
	}
}

// keepLog keeps the server's log where the test has failed.
func (s *nameserver) keepLog() {
	if !s.t.Failed() {
		return
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err == nil {
		err = os.WriteFile(filepath.Join(lab.artifacts, strings.ReplaceAll(s.t.Name(), "/", "-")+"-"+s.id()+".log"), log, 0o644)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	s.t.Logf("the log of %s ended with (%v):\n%s", s.name, err, strings.Join(lines[max(0, len(lines)-30):], "\n"))
}

// Who may update a zone of bind, as allow-update in named.conf(5) has it.
const (
	byAll  = "any"
	byNone = "none"
	byKey  = `key "pgsql"`
)

// newBind starts bind9 as the primary server of the zone, ns1.ZONE. Its key is in keyFile.
func newBind(t testing.TB, n *network, addr netip.Addr, update string) *nameserver {
	t.Helper()
	s := newNameserver(t, n, "ns1", addr)
	s.startBind(fmt.Sprintf(`zone "%s" { type primary; file "zone"; allow-update { %s; }; };`, s.zone, update))
	return s
}

// startBind starts bind9 with these statements of named.conf(5) and these records more.
func (s *nameserver) startBind(zones string, records ...string) {
	s.t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	s.write("key", base64.StdEncoding.EncodeToString(key)+"\n")
	s.write("named.conf", fmt.Sprintf(`options {
	directory "/srv";
	listen-on { %s; };
	listen-on-v6 { none; };
	pid-file none;
	session-keyfile none;
	recursion no;
	notify no;
};
key "pgsql" { algorithm hmac-sha256; secret "%s"; };
%s
`, s.addr, base64.StdEncoding.EncodeToString(key), zones))
	s.write("zone", s.zoneFile(records...))
	s.start("named", "-g", "-n", "1", "-c", "/srv/named.conf")
}

// zoneFile is the zone's with these records more.
func (s *nameserver) zoneFile(records ...string) string {
	return fmt.Sprintf("$TTL 60\n@ SOA ns1 admin 1 60 60 60 60\n@ NS ns1\nns1 A %s\nalias CNAME ns1\n%s\n", s.addr, strings.Join(records, "\n"))
}

// keyName is what the key is called that updates byKey are signed with.
const keyName = "pgsql"

// keyFile has the key's secret.
func (s *nameserver) keyFile() string { return filepath.Join(s.dir, "key") }
