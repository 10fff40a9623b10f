package seeds

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"banyan/internal/strict"
)

// hbaTypes are the types of a line of pg_hba.conf with the least number of their
// fields: type, database, user, address but for local, method.
// https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
var hbaTypes = map[string]int{
	"local": 4, "host": 5, "hostssl": 5, "hostnossl": 5, "hostgssenc": 5, "hostnogssenc": 5,
}

// hbaMethods are the methods that Debian's PostgreSQL 13 to 17 all know, with
// their options. To a local line ident is peer.
var hbaMethods = map[string][]string{
	"trust": nil, "reject": nil, "password": nil, "md5": nil, "scram-sha-256": nil,
	"peer":  {"map"},
	"ident": {"map"},
	"cert":  {"map"},
	"gss":   {"map", "include_realm", "krb_realm"},
	"pam":   {"pamservice", "pam_use_hostname"},
	"ldap": {"ldapurl", "ldapscheme", "ldapserver", "ldapport", "ldaptls", "ldapprefix", "ldapsuffix", "ldapbasedn", "ldapbinddn",
		"ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter"},
	"radius": {"radiusservers", "radiussecrets", "radiusports", "radiusidentifiers"},
}

// hbaTypesOf are the types of line that a method is for, where it is not for all.
var hbaTypesOf = map[string][]string{
	"peer": {"local"},
	"cert": {"hostssl"},
	"gss":  {"host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"},
}

// hbaNeeds are the options without which PostgreSQL does not take a method: one
// of each list.
var hbaNeeds = map[string][][]string{
	"ldap":   {{"ldapprefix", "ldapsuffix", "ldapbasedn", "ldapurl"}},
	"radius": {{"radiusservers"}, {"radiussecrets"}},
}

// hbaChoices are the options of which only certain values are taken.
var hbaChoices = map[string][]string{"clientcert": {"verify-ca", "verify-full"}, "clientname": {"CN", "DN"}}

var (
	hbaComment = regexp.MustCompile(`^((?:"[^"]*"|[^"#])*)#.*$`)
	// hbaField is a field: parts, each of which may be quoted, after all of which but
	// the last a comma stands.
	hbaField = regexp.MustCompile(`(?:"[^"]*"|[^\s",])+(?:,[\s,]*(?:"[^"]*"|[^\s",])+)*`)
	hbaPart  = regexp.MustCompile(`(?:"[^"]*"|[^\s",])+`)
	// hbaHost is a host name, or with a dot before it all below a domain. It has a
	// letter, or it is an address that was mistyped.
	hbaHost = regexp.MustCompile(`^\.?[0-9_.-]*[A-Za-z][A-Za-z0-9_.-]*$`)
)

// checkHBA holds a line to what PostgreSQL loads: it does not start with one that
// it cannot. Options may hold passwords, so that no message shows a value.
func (d document) checkHBA(path, line string) {
	if strings.Count(line, `"`)%2 != 0 {
		d.Refuse(path, "a quote is not closed")
		return
	}
	fields := hbaField.FindAllString(hbaComment.ReplaceAllString(line, "$1"), -1)
	if len(fields) == 0 {
		d.Refuse(path, "the line is empty: remove it")
		return
	}
	kind := fields[0]
	least, ok := hbaTypes[kind]
	if !ok {
		d.Refuse(path, "unknown type of connection %s%s", quote(kind), strict.OneOf(kind, slices.Sorted(maps.Keys(hbaTypes))))
		return
	}
	form, hasMask := "TYPE DATABASE USER METHOD", false
	if least == 5 {
		form = "TYPE DATABASE USER ADDRESS METHOD"
		if _, err := netip.ParseAddr(unquote(fields[min(3, len(fields)-1)])); err == nil {
			least, form, hasMask = 6, "TYPE DATABASE USER ADDRESS MASK METHOD, or ADDRESS/LENGTH for address and mask", true
		}
	}
	if len(fields) < least {
		d.Refuse(path, "a line of this type has at least %d fields and this one has %d: %s", least, len(fields), form)
		return
	}
	for _, part := range hbaPart.FindAllString(strings.Join(fields[1:3], " "), -1) {
		if strings.HasPrefix(part, "@") {
			d.Refuse(path, "%s is a file, which the node does not have: write the names that it lists", quote(part))
			return
		}
	}
	if wrong := wrongHBAAddress(fields[3:least-1], hasMask); wrong != "" {
		d.Refuse(path, "%s", wrong)
		return
	}
	if wrong := wrongHBAMethod(kind, unquote(fields[least-1]), fields[least:]); wrong != "" {
		d.Refuse(path, "%s", wrong)
	}
}

// wrongHBAAddress says what is wrong with the address of a line, or "". A local
// line has none.
func wrongHBAAddress(fields []string, hasMask bool) string {
	if len(fields) == 0 {
		return ""
	}
	address := unquote(fields[0])
	if hasMask {
		a, _ := netip.ParseAddr(address)
		if mask, err := netip.ParseAddr(unquote(fields[1])); err != nil || mask.Is4() != a.Is4() {
			return fmt.Sprintf("after the address %s there has to be its mask, such as 255.255.255.0; or write the two as one, such as 172.16.32.0/24", address)
		}
		return ""
	}
	if _, err := netip.ParsePrefix(address); err != nil && !hbaHost.MatchString(address) { // all, samehost and samenet are of that form
		return fmt.Sprintf("%s is not an address: write one, such as 172.16.32.0/24, or all, samehost, samenet or the name of a host", quote(fields[0]))
	}
	return ""
}

// wrongHBAMethod says what is wrong with the method of a line and its options, or "".
func wrongHBAMethod(kind, method string, fields []string) string {
	options, ok := hbaMethods[method]
	if !ok {
		return fmt.Sprintf("unknown method %s%s", quote(method), strict.OneOf(method, slices.Sorted(maps.Keys(hbaMethods))))
	}
	if kinds := hbaTypesOf[method]; kinds != nil && !slices.Contains(kinds, kind) {
		return fmt.Sprintf("the method %s is for lines of type %s, and this one is %s", method, strings.Join(kinds, ", "), kind)
	}
	if kind == "hostssl" {
		options = append(slices.Clone(options), "clientcert", "clientname")
	}
	var given []string
	for i, option := range hbaPart.FindAllString(strings.Join(fields, " "), -1) {
		name, value, hasValue := strings.Cut(unquote(option), "=")
		choice := hbaChoices[name]
		if method == "cert" && name == "clientcert" { // the method itself is verify-full
			choice = []string{"verify-full"}
		}
		switch {
		case !hasValue:
			return fmt.Sprintf("after the method %s there are options only, such as map=name, and number %d is none", method, i+1)
		case !slices.Contains(options, name):
			return fmt.Sprintf("option %d is not one of the method %s on a line of type %s", i+1, method, kind)
		case choice != nil && !slices.Contains(choice, value):
			return fmt.Sprintf("the option %s has to be %s", name, strings.Join(choice, " or "))
		}
		given = append(given, name)
	}
	for _, names := range hbaNeeds[method] {
		if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(given, name) }) {
			return fmt.Sprintf("the method %s needs the option %s", method, strings.Join(names, " or "))
		}
	}
	return ""
}

func unquote(field string) string { return strings.ReplaceAll(field, `"`, "") }
