package seeds

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Image is what an image has, so that a seed which asks for more is refused before it
// is carried to a machine.
type Image struct {
	Name       string // what messages call it, such as debian-13
	PostgreSQL []int  // major versions
	Patroni    PatroniVersion
	Locales    []string // as in ru_RU.UTF-8; all have C.UTF-8
}

// PatroniVersion is how the version of Patroni begins.
type PatroniVersion struct{ Major, Minor int }

func (v PatroniVersion) before(major, minor int) bool {
	return v.Major < major || v.Major == major && v.Minor < minor
}

// checkImages notes what s asks for and one of the images has not. Which names of time
// zones an image has is for the machine to say: Debian 13 has no old ones.
func (d document) checkImages(s Seed, images []Image) {
	check := func(prefix string, n Node) {
		d.checkTimezone(prefix+"system.timezone", n.System.Timezone)
		for _, image := range images {
			d.checkImage(prefix, n, image)
		}
	}
	check("", Node{PostgreSQL: s.PostgreSQL, Patroni: s.Patroni, System: s.System, Storage: s.Storage})
	for i, n := range s.Nodes {
		check(fmt.Sprintf("nodes[%d].", i), n)
	}
}

// Writable tells whether a path can be made on an image, whose root is read-only.
func Writable(path string) bool {
	return strings.HasPrefix(path, "/var/") || strings.HasPrefix(path, "/home/") || strings.HasPrefix(path, "/root/")
}

func (d document) checkImage(prefix string, n Node, image Image) {
	paths := map[string]string{"postgresql.data_dir": n.PostgreSQL.DataDir, "postgresql.wal_dir": n.PostgreSQL.WALDir}
	for name, volume := range n.Storage.Volumes {
		paths["storage.volumes."+name+".path"] = volume.Path
	}
	for path, directory := range paths {
		if directory != "" && !Writable(directory) {
			d.Warn(prefix+path, "the root of %s is read-only: there this has to be below /var, /home or /root", image.Name)
		}
	}
	if !slices.Contains(image.PostgreSQL, n.PostgreSQL.Version) {
		d.Refuse(prefix+"postgresql.version", "%s has PostgreSQL %s, not %d: build an image that has it, or choose another profile",
			image.Name, Words(image.PostgreSQL), n.PostgreSQL.Version)
	}
	d.checkPatroniOf(prefix+"patroni.", n.Patroni, image)
	d.checkLocale(prefix+"system.locale", n.System.Locale, image)
	d.checkLocale(prefix+"postgresql.initdb.locale", n.PostgreSQL.Initdb.Locale, image)
	for j, database := range n.PostgreSQL.Databases {
		d.checkLocale(fmt.Sprintf("%spostgresql.databases[%d].locale", prefix, j), database.Locale, image)
	}
}

func (d document) checkPatroniOf(prefix string, p Patroni, image Image) {
	v := image.Patroni
	if p.SynchronousMode == SynchronousModeQuorum && v.before(4, 0) {
		d.Refuse(prefix+"synchronous_mode", "%s has Patroni %d, which takes quorum for off: write true, or choose a profile with Patroni 4",
			image.Name, v.Major)
	}
	if p.FailsafeMode && v.before(3, 0) {
		d.Warn(prefix+"failsafe_mode", "%s has Patroni %d, which has no failsafe_mode: there it stays off", image.Name, v.Major)
	}
	if v.before(4, 0) {
		d.Warn(prefix+"member_slots_ttl", "%s has Patroni %d, which has no member_slots_ttl: there it does nothing", image.Name, v.Major)
	}
	if len(p.RESTAPI.Allowlist) > 0 && v.before(2, 1) {
		d.Warn(prefix+"restapi.allowlist", "%s has Patroni %d.%d, which has no allowlist: there all hosts may write", image.Name, v.Major, v.Minor)
	}
}

// checkLocale also refuses a default that the image lacks, at what is given of its
// section, or else where the file begins.
func (d document) checkLocale(path, locale string, image Image) {
	if locale == "" || slices.Contains(append(image.Locales, "C.UTF-8"), strings.Replace(locale, ".utf8", ".UTF-8", 1)) {
		return
	}
	has := strings.Join(image.Locales, ", ")
	d.Refuse(path, "%s has no locale %s: it has %s; add it to locales of the profile, or write another", image.Name, quote(locale), has)
	if d.HasKey(path) || strings.HasPrefix(path, "nodes") {
		return
	}
	at := path
	for !d.HasKey(at) {
		i := strings.LastIndexByte(at, '.')
		if i < 0 {
			at = "version"
			break
		}
		at = at[:i]
	}
	d.RefuseKey(at, "%s has no locale %s, which %s is by default: it has %s; write one of them", image.Name, quote(locale), path, has)
}

// checkTimezone refuses a time zone that is nowhere.
func (d document) checkTimezone(path, name string) {
	if _, err := time.LoadLocation(name); err != nil && timezone.MatchString(name) {
		d.Refuse(path, "there is no time zone %s: see timedatectl list-timezones", quote(name))
	}
}
