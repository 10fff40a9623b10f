//go:build boot

package boot

import (
	"regexp"
	"time"
)

// What the image promises to whoever stands in front of it.
var (
	noSeed = regexp.MustCompile(`banyan: waiting for a seed\n`)
	// places are those that a seed is looked for in, in this order.
	places = []*regexp.Regexp{
		regexp.MustCompile(`kernel parameter banyan.seed: not present`),
		regexp.MustCompile(`BANYAN partition`),
		regexp.MustCompile(`BANYAN-SEED`),
		regexp.MustCompile(`CIDATA`),
		regexp.MustCompile(`SMBIOS`),
		regexp.MustCompile(`fw_cfg`),
		regexp.MustCompile(`credential`),
		regexp.MustCompile(`/etc/banyan`),
		regexp.MustCompile(`sealed seed: not present`),
	}
	// seedError is a mistake in a seed: line, column, the reason on as many lines as
	// it takes, the line itself and the line with the caret. The kernel may interrupt.
	seedError = regexp.MustCompile(`seed\.yaml:(\d+):(\d+): ((?s:.+?))\n` + kernel + `(.*)\n` + kernel + `( *\^)\n`)
	ready     = regexp.MustCompile(`banyan: pgsql-n1 is ready\b.*\n`)
)

// kernel is lines that the kernel writes to a console when it likes to.
const kernel = `(?:\[ *\d+\.\d+\] .*\n)*`

// What the image promises to whoever is root on it.
const (
	sealedSeed = "/var/lib/banyan/seed.yaml"
	// etcdctl reports on its standard error.
	etcdHealth = "etcdctl endpoint health 2>&1"
	// unknownSettings lists what systemd and etcd say of a setting that they do not know.
	unknownSettings = "journalctl --boot --quiet --no-pager --output cat --grep 'Unknown (key|section)|Failed to parse|unrecogni[sz]ed' || true"
)

// How long each step may take with no KVM and another machine on the other core.
const (
	bootTime  = 10 * time.Minute // from the power to the first word about the seed
	birthTime = 20 * time.Minute // from the power or the seed to ready
	haltTime  = 2 * time.Minute  // from the power button or reboot to the end
	loginTime = time.Minute
	checkTime = 5 * time.Minute // all of what is looked at on a ready node
)

// firstBootWrites is about how many writes a first boot makes until the node is
// ready; TestSeedOnStick measures it anew and says so when it has changed much.
const firstBootWrites = 2400
