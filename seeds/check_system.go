package seeds

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	// timezone is the form of the names of the IANA time zone database; which of
	// them there are is the machine's to say.
	timezone = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)
	locale   = regexp.MustCompile(`^(C|[a-z]{2,3}_[A-Z]{2})\.(UTF-8|utf8)(@[a-z]+)?$`)
	// userName is systemd's strict form of the names of users and groups, in
	// lower case as useradd(8) advises: https://systemd.io/USER_NAMES/
	userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)
	shell    = regexp.MustCompile(`^(/[A-Za-z0-9._+-]+)+$`)
	// passwordHash is the form that all methods of crypt(5) share. The bare DES
	// hash has no prefix and is not taken.
	passwordHash = regexp.MustCompile(`^\$[a-z0-9]+\$[!-~]+$`)
)

// systemUsers are the image's own accounts that a person may think of.
var systemUsers = []string{"root", "postgres", "etcd"}

// The uids of people: FIRST_UID and LAST_UID of Debian's adduser.conf(5).
const firstUID, lastUID = 1000, 59999

func (d document) checkSystem(prefix string, s System) {
	if !timezone.MatchString(s.Timezone) {
		d.Refuse(prefix+"timezone", "%s is not the name of a time zone, such as Europe/Moscow", quote(s.Timezone))
	}
	if !locale.MatchString(s.Locale) {
		d.Refuse(prefix+"locale", "%s is not a locale with UTF-8, such as en_US.UTF-8", quote(s.Locale))
	}
	names, uids := map[string]bool{}, map[int]string{}
	for i, u := range s.Users {
		path := fmt.Sprintf("%susers[%d]", prefix, i)
		d.checkUser(path, u)
		if at := path + ".name"; d.Given(at) {
			if names[u.Name] {
				d.Refuse(at, "user %s is listed twice", quote(u.Name))
			}
			names[u.Name] = true
		}
		if at := path + ".uid"; d.Given(at) {
			if owner, taken := uids[u.UID]; taken {
				d.Refuse(at, "uid %d is that of user %s", u.UID, quote(owner))
			}
			uids[u.UID] = u.Name
		}
	}
}

func (d document) checkUser(path string, u User) {
	switch name := path + ".name"; {
	case slices.Contains(systemUsers, u.Name):
		d.Refuse(name, "%s is an account of the system: list people only", u.Name)
	case !userName.MatchString(u.Name):
		d.Refuse(name, "%s is not the name of a user: use 1 to 31 lower-case letters, digits, hyphens and underscores, with a letter first", quote(u.Name))
	}
	if u.UID < firstUID || u.UID > lastUID {
		d.Refuse(path+".uid", "uid %d is not a person's: use %d to %d", u.UID, firstUID, lastUID)
	}
	for i, group := range u.Groups {
		at := fmt.Sprintf("%s.groups[%d]", path, i)
		switch {
		case !userName.MatchString(group):
			d.Refuse(at, "%s is not the name of a group", quote(group))
		case group == u.Name:
			d.Refuse(at, "%s is the user's own group: remove it", group)
		case slices.Contains(u.Groups[:i], group):
			d.Refuse(at, "%s is listed twice", group)
		}
	}
	if !shell.MatchString(u.Shell) {
		d.Refuse(path+".shell", "%s is not the path of a shell, such as /bin/bash", quote(u.Shell))
	}
	hash := u.HashedPasswd.Reveal()
	if !passwordHash.MatchString(hash) || strings.ContainsAny(hash, `:;*!\`) {
		d.Refuse(path+".hashed_passwd", "this is not a hash of crypt(5): write what mkpasswd prints, $y$... or $6$...")
	}
	for i, key := range u.SSHAuthorizedKeys {
		if wrong := unusableKey(key); wrong != "" {
			d.Refuse(fmt.Sprintf("%s.ssh_authorized_keys[%d]", path, i), "%s", wrong)
		}
	}
}

// shortestPassword is in characters.
const shortestPassword = 8

func (d document) checkSecrets(s Secrets) {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if secret, ok := reflect.TypeAssert[Secret](v.Field(i)); ok && utf8.RuneCountInString(secret.Reveal()) < shortestPassword {
			d.Refuse("secrets."+key, "%s is shorter than %d characters", key, shortestPassword)
		}
	}
}
