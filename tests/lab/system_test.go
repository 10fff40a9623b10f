//go:build lab

package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"banyan/internal/flow"
	"banyan/internal/pki"
	"banyan/seeds"
	"banyan/seeds/mint"
	"banyan/tests/fixture"
)

// minted makes of a cluster file what `build seed mint` makes of it, and returns the
// seed of the host.
func minted(t testing.TB, h *host, clusterFile string) (text string, s *seeds.Seed) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(mintInto(t, clusterFile, mint.Output{PerNode: true}), h.name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if s, err = seeds.Parse(h.name+".yaml", data); err != nil {
		t.Fatal(err)
	}
	return string(data), s
}

// mintInto returns the directory that a cluster file is minted into.
func mintInto(t testing.TB, clusterFile string, o mint.Output) string {
	t.Helper()
	c, _, err := mint.Parse("cluster.yaml", []byte(clusterFile))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "minted")
	if _, err := mint.Into(t.Context(), dir, c, mint.Options{Now: time.Now()}, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// authority makes one that the cluster's own has nothing to do with.
func authority(t testing.TB) *pki.Authority {
	t.Helper()
	a, err := pki.NewAuthority("Demo", pki.ECDSA, pki.Lifetime{From: time.Now(), Days: 30})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What is set up for a node's system is in effect, and one part of it that fails is
// told of and keeps nothing else from being done.
func TestSystem(t *testing.T) {
	t.Parallel()
	key, authorized := fixture.NewKey(t)
	theirs, foreign := authority(t), authority(t)
	network := newNetwork(t, prefix)
	h := newHost(t, network, "pgsql-n1", address(11))
	system := fmt.Sprintf(`system:
  users: [%s]
  proxy: {http_proxy: "http://proxy.demo.ru:3128", no_proxy: [localhost]}
  nofile: {soft: 8192, hard: 16384}
  ca_certificates:
    - |
      %s
`, fixture.DBA(authorized), strings.ReplaceAll(strings.TrimSpace(theirs.Certificates()), "\n", "\n      "))
	text, s := minted(t, h, clusterFile(h)+system)
	n := &node{h, seed{text, map[string]string{"superuser_password": s.Secrets.SuperuserPassword.Reveal()}}}
	h.plant(text)
	h.waitReady()

	n.checkSysctl()
	n.checkTrust(string(s.PKI.CA), theirs.Certificates(), string(s.Nodes[0].PKI.Certificate), foreign.Certificates())
	const ulimit = " --login postgres --command 'ulimit -Sn; ulimit -Hn; ulimit -Hc' | xargs"
	n.expect([]fixture.Check{
		{"limits by runuser", "runuser" + ulimit, "8192 16384 0"},
		{"limits by su", "su" + ulimit, "8192 16384 0"},
		{"Patroni's limits", "systemctl show patroni.service --property LimitNOFILE,LimitNOFILESoft,LimitCORE | sort | xargs", "LimitCORE=0 LimitNOFILE=16384 LimitNOFILESoft=8192"},
		{"PostgreSQL's limits", "awk '/^Max open files/ { print $4, $5 }' /proc/$(head -n 1 /var/lib/postgresql/17/main/postmaster.pid)/limits", "8192 16384"},
		{"the journal", "ls -d /var/log/journal/$(cat /etc/machine-id)/system.journal | wc --lines", "1"},
		{"the proxy", "su --login postgres --command 'echo $http_proxy $no_proxy'", `http://proxy\.demo\.ru:3128 localhost`},
		{"patronictl", "su --login postgres --command 'patronictl list --format json'  | grep --only-matching '\"Role\": \"[^\"]*\"'", `"Role": "Leader"`},
	})
	shell := n.login(operator, 22, key)
	for _, command := range []string{"patronictl list --format json", "sudo --user postgres patronictl list --format json"} {
		if out, err := shell.Root(t.Context(), command); err != nil || !strings.Contains(out, `"Role": "Leader"`) {
			t.Errorf("who became root by sudo hears from %s: %q, %v", command, out, err)
		}
	}
	n.checkFailure()
}

// checkSysctl reads back what the file for the next boot has. What belongs to no network
// is not a container's to set, and reported so.
func (n *node) checkSysctl() {
	n.t.Helper()
	skipped := n.skipped()
	for line := range strings.Lines(n.sh("grep ^- /etc/sysctl.d/zz-banyan.conf") + "\n") {
		name, want, found := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "-")), " = ")
		if !found {
			n.t.Fatalf("/etc/sysctl.d/zz-banyan.conf has the line %q", line)
		}
		// Some of net are one for the machine.
		own := strings.HasPrefix(name, "net.") && name != "net.core.netdev_max_backlog" && name != "net.netfilter.nf_conntrack_max"
		if skipped["sysctl "+name] != "" && !own {
			continue
		}
		// Of several interfaces all have the same.
		got := strings.Join(strings.Fields(n.sh("cat /proc/sys/"+strings.ReplaceAll(name, ".", "/")+" | sort --unique")), " ")
		if got != want {
			n.t.Errorf("%s is %q, want %q; and of what was skipped is said %q", name, got, want, skipped["sysctl "+name])
		}
	}
	for _, name := range []string{"sysctl vm.swappiness", "sysctl vm.overcommit_memory", "sysctl kernel.panic"} {
		if reason := skipped[name]; !strings.Contains(reason, "read-only file system") {
			n.t.Errorf("of %s, which is not to be set in a container, is said %q", name, reason)
		}
	}
}

// skipped is what the node reports to be skipped, and why.
func (n *node) skipped() map[string]string {
	n.t.Helper()
	var report flow.NodeStatus
	text := n.sh("cat /run/banyan/status.json")
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		n.t.Fatalf("%v in:\n%s", err, text)
	}
	reasons := map[string]string{}
	for _, step := range report.Steps {
		for _, s := range step.Skipped {
			reasons[s.ID] = s.Reason
		}
	}
	return reasons
}

// checkTrust verifies certificates by the system's store, in both forms that programs read.
func (n *node) checkTrust(ca, theirs, own, foreign string) {
	n.t.Helper()
	for _, store := range []string{"-no-CAfile -CApath /etc/ssl/certs", "-no-CApath -CAfile /etc/ssl/certs/ca-certificates.crt"} {
		for _, test := range []struct {
			name, certificate string
			trusted           bool
		}{
			{"the cluster's authority", ca, true},
			{"an authority of the seed", theirs, true},
			{"the node's own certificate", own, true},
			{"an authority that nobody named", foreign, false},
		} {
			out := n.sh("openssl verify " + store + " 2>&1 <<'END' || true\n" + test.certificate + "\nEND")
			if trusted := strings.HasSuffix(out, ": OK"); trusted != test.trusted {
				n.t.Errorf("openssl verify %s says of %s: %s", store, test.name, out)
			}
		}
	}
}

// checkFailure has a step fail and looks at the others.
func (n *node) checkFailure() {
	n.t.Helper()
	n.sh("rm /etc/sudoers.d/banyan; mkdir /etc/sudoers.d/banyan; echo 1000 >/proc/sys/net/core/somaxconn; echo drift >>/etc/hosts; echo '# drift' >>/etc/patroni/config.yml")
	const wrong = "/etc/sudoers.d/banyan: is a directory where a file belongs"
	if said := n.exits(1, "firstboot"); !strings.Contains(said, "sudo: "+wrong) {
		n.t.Errorf("a run does not say what failed:\n%s", said)
	}
	n.expect([]fixture.Check{
		{"a parameter of the kernel", "cat /proc/sys/net/core/somaxconn", "65535"},
		{"what drifted", "grep --count drift /etc/hosts /etc/patroni/config.yml || true", "/etc/hosts:0\n/etc/patroni/config.yml:0"},
	})
	n.sql("select 1")
	status := strings.Join(strings.Fields(n.exits(1, "firstboot status")), " ")
	for _, want := range []string{"pgsql-n1 failed", "sudo " + wrong, "journalctl -b -u banyan-firstboot"} {
		if !strings.Contains(status, want) {
			n.t.Errorf("the status does not say %q:\n%s", want, status)
		}
	}
	if out := n.exits(1, "firstboot --dry-run"); !strings.Contains(out, wrong) {
		n.t.Errorf("a dry run does not say what fails:\n%s", out)
	}
	n.sh("rmdir /etc/sudoers.d/banyan")
	n.exits(0, "firstboot")
	n.waitReady()
}
