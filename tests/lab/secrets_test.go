//go:build lab

package lab

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// checkSecrets looks for the seed's secrets in texts, by where those are from.
func (n *node) checkSecrets(texts map[string]string) {
	n.t.Helper()
	for where, text := range texts {
		if leaked := n.cluster.Secrets.Leaked(text); leaked != nil {
			n.t.Errorf("%s: anybody can read %q there", where, leaked)
		}
	}
}

// arguments are those of all processes of the lab that were seen while something was done;
// they are looked at again and again.
func arguments(t testing.TB, interval time.Duration, do func()) string {
	t.Helper()
	stop, done := make(chan struct{}), make(chan string)
	go func() {
		seen := map[string]bool{}
		again := time.NewTicker(interval)
		defer again.Stop()
		for {
			// A process may end while it is looked at.
			lists, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, list := range lists {
				arguments, _ := os.ReadFile(list)
				seen[strings.ReplaceAll(string(arguments), "\x00", " ")] = true
			}
			select {
			case <-stop:
				done <- strings.Join(slices.Collect(maps.Keys(seen)), "\n")
				return
			case <-again.C:
			}
		}
	}()
	do()
	close(stop)
	all := <-done
	if !strings.Contains(all, "firstboot") {
		t.Errorf("no process of it was seen:\n%s", all)
	}
	return all
}

// checkReadable looks for the secrets of the whole cluster in what anybody on the node can
// read, and in what is kept of what was said.
func (n *node) checkReadable() {
	n.t.Helper()
	var patterns strings.Builder
	for _, secret := range n.cluster.Secrets {
		patterns.WriteString(secret + "\n")
	}
	grep := func(as, what string) string {
		return n.sh("runuser --user " + as + " -- grep --recursive --files-with-matches --fixed-strings --file=- " + what + " 2>/dev/null <<'END' || true\n" + patterns.String() + "END")
	}
	// That it finds anything at all is seen where root looks.
	if found := grep("root", "/var/lib/banyan"); !strings.Contains(found, "/var/lib/banyan/seed.yaml") {
		n.t.Errorf("on %s no secret is found in its seed, but in %q", n.name, found)
	}
	if found := grep("nobody", "/etc /home /root /run /srv /tmp /var /proc/[0-9]*/cmdline /proc/[0-9]*/environ"); found != "" {
		n.t.Errorf("on %s anybody can read secrets in\n%s", n.name, found)
	}
	if found := grep("root", "/var/log /proc/[0-9]*/cmdline"); found != "" {
		n.t.Errorf("on %s there are secrets in\n%s", n.name, found)
	}
	n.checkSecrets(map[string]string{"the journal": n.sh("journalctl --all --no-pager --output=verbose")})
}
