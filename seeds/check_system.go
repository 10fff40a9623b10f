package seeds

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var (
	// timezone is the form of the names of the IANA time zone database; which of
	// them there are is the machine's to say.
	timezone = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)
	locale   = regexp.MustCompile(`^(C|[a-z]{2,3}_[A-Z]{2})\.(UTF-8|utf8)(@[a-z]+)?$`)
)

func (d document) checkSystem(prefix string, s System) {
	if !timezone.MatchString(s.Timezone) {
		d.Refuse(prefix+"timezone", "%s is not the name of a time zone, such as Europe/Moscow", quote(s.Timezone))
	}
	if !locale.MatchString(s.Locale) {
		d.Refuse(prefix+"locale", "%s is not a locale with UTF-8, such as en_US.UTF-8", quote(s.Locale))
	}
	d.checkUsers(prefix+"users", s.Users)
	d.checkSudo(prefix+"sudo", s.Sudo)
	d.checkHosts(prefix+"ntp", s.NTP)
	d.checkSysctl(prefix+"sysctl.", s.Sysctl)
	d.checkIOScheduler(prefix+"io_scheduler", s.IOScheduler)
	d.checkNoFile(prefix+"nofile.", s.NoFile)
	if s.Swap != 0 && (s.Swap < leastSwap || s.Swap > mostSwap) {
		d.Refuse(prefix+"swap", "%s is out of range: use 16MB to 1TB, or 0MB for none", s.Swap)
	}
	for i, certificates := range s.CACertificates {
		if wrong := wrongCertificates(certificates); wrong != "" {
			d.Refuse(fmt.Sprintf("%sca_certificates[%d]", prefix, i), "%s", wrong)
		}
	}
	checkTwice(d, prefix+"ca_certificates", s.CACertificates, func(PEM) string { return "this certificate" })
	d.checkProxy(prefix+"proxy.", s.Proxy)
}

const leastSwap, mostSwap = 16 << 20, 1 << 40

// sysctlName is a path below /proc/sys, with dots; a slash stands for a dot in the
// name of an interface, see sysctl.d(5).
var sysctlName = regexp.MustCompile(`^[a-z0-9_]+([.][A-Za-z0-9_/:-]+)+$`)

func (d document) checkSysctl(prefix string, values map[string]any) {
	for name, value := range values {
		path := prefix + name
		text, isText := value.(string)
		switch _, isBool := value.(bool); {
		case !sysctlName.MatchString(name):
			d.RefuseKey(path, "this is not the name of a kernel parameter, such as vm.swappiness")
		case isBool:
			d.Refuse(path, "the kernel takes no such value: write 1 or 0")
		case isText && strings.TrimSpace(text) == "":
			d.Refuse(path, "there is no value: write one, or remove the key")
		}
	}
}

var (
	blockDevice = regexp.MustCompile(`^[A-Za-z0-9!*?_-]{1,32}$`)
	// The kernel has no fewer requests than BLKDEV_MIN_RQ.
	leastRequests, mostRequests int64 = 4, 65536
)

func (d document) checkIOScheduler(path string, rules []IOScheduler) {
	if !d.HasKey(path) {
		return
	}
	type disks struct {
		device string
		class  DiskClass
	}
	seen := map[disks]bool{}
	for i, rule := range rules {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !blockDevice.MatchString(rule.Device) {
			d.Refuse(at+".device", "%s is not a disk of /sys/block, such as sda, nor a pattern, such as 'sd*'", quote(rule.Device))
		}
		d.checkRange(at+".nr_requests", int64(rule.NrRequests), leastRequests, mostRequests, "")
		if of := (disks{rule.Device, rule.Class}); seen[of] {
			d.Refuse(at, "an earlier item is for the same disks: remove one of them")
		} else {
			seen[of] = true
		}
	}
}

// Limits of nofile: PostgreSQL does not start with fewer than the first, and the
// kernel's fs.nr_open is the second.
const leastFiles, mostFiles = 1024, 1048576

func (d document) checkNoFile(prefix string, n NoFile) {
	soft, hard := prefix+"soft", prefix+"hard"
	d.checkRange(soft, int64(n.Soft), leastFiles, mostFiles, "")
	d.checkRange(hard, int64(n.Hard), leastFiles, mostFiles, "")
	if n.Soft > n.Hard && n.Soft <= mostFiles && n.Hard >= leastFiles && !d.Malformed(soft) && !d.Malformed(hard) {
		d.Refuse(d.given(soft, hard), "soft of %d is above hard of %d: lower it, or raise that", n.Soft, n.Hard)
	}
}

// wrongCertificates says why nothing could read them, or "".
func wrongCertificates(certificates PEM) string {
	n := 0
	for block, rest := pem.Decode([]byte(certificates)); block != nil; block, rest = pem.Decode(rest) {
		n++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Sprintf("certificate %d of this is damaged: copy it again", n)
		}
	}
	return ""
}

// checkProxy shows no proxy: a password may be in it.
func (d document) checkProxy(prefix string, p Proxy) {
	for key, proxy := range map[string]Secret{"http_proxy": p.HTTP, "https_proxy": p.HTTPS} {
		u, err := url.Parse(proxy.Reveal())
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || wrongHost(u.Hostname()) != "" || strings.Trim(u.Path, "/") != "" || strings.ContainsAny(proxy.Reveal(), " \t\n\"'") {
			d.Refuse(prefix+key, "this is not the address of a proxy, such as http://proxy.example.org:8080")
		}
	}
	for i, host := range p.No {
		if host == "" || strings.ContainsAny(host, " ,\"'") {
			d.Refuse(fmt.Sprintf("%sno_proxy[%d]", prefix, i), "%s is not one host: write an item for each", quote(host))
		}
	}
}
