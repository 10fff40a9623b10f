package converge

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"banyan/internal/durable"
)

// table is one of ours with these rules of its input.
func table(rules ...string) NFTable {
	content := func(rules ...string) string {
		return "table inet banyan\ndelete table inet banyan\ntable inet banyan {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\t" +
			"ct state established,related accept\n\t\tmeta l4proto { icmp, ipv6-icmp } accept\n\t\t" + strings.Join(rules, "\n\t\t") + "\n\t}\n}\n"
	}
	return NFTable{Family: "inet", Name: "banyan", Path: "/etc/banyan/firewall.nft", Door: 22, Content: content(rules...), Fallback: content(),
		With: "Port 22\n"}
}

// asLoaded is what is kept of a table that was loaded.
func asLoaded(table, with string) string { return headComment + strconv.Quote(with) + "\n" + table }

// firewalled is a machine with a network of its own.
func firewalled(t *testing.T) Machine {
	t.Helper()
	ownNetwork(t)
	m := liveMachine(t)
	if err := os.MkdirAll(m.path("/etc/banyan"), 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

// loads makes sure that what is to be done with a table is that, and nothing afterwards.
func loads(t *testing.T, m Machine, table NFTable, want string) {
	t.Helper()
	for _, want := range []string{want, ""} {
		if got := strings.Join(changes(apply(t, m, table)), "\n"); strings.TrimPrefix(got, table.Path+": ") != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := content(t, m.path(table.Path)); got != table.Content {
		t.Errorf("the file has %s", got)
	}
	if got := content(t, m.path(loadedTable)); got != asLoaded(table.Content, table.With) {
		t.Errorf("as loaded is remembered %s", got)
	}
}

func listed(t *testing.T) string {
	t.Helper()
	return do(t, "nft", "--stateless", "list", "table", "inet", "banyan")
}

func TestNFTable(t *testing.T) {
	m := firewalled(t)
	others := "table inet banyan2 { chain input { type filter hook input priority 5; tcp dport 1 counter drop; }; }\n" +
		"table ip banyan { set s { type ipv4_addr; elements = { 192.0.2.1 } }; }\ntable inet a { }\n"
	if _, err := nft(t.Context(), others, "--file", "-"); err != nil {
		t.Fatal(err)
	}
	all := func() string { return do(t, "nft", "list", "ruleset") }
	before := all()

	ssh := table(`tcp dport 22 accept comment "SSH {"`, "ip saddr { 10.0.0.0/8, 192.0.2.0/24 } tcp dport { 2379, 5432 } accept")
	report, err := Diff(t.Context(), m, one(ssh))
	if err != nil || len(changes(report)) != 1 || all() != before {
		t.Errorf("the comparison: %q, %v", changes(report), err)
	}
	loads(t, m, ssh, "create root:root 0644")
	ours := listed(t)
	if !strings.Contains(ours, "dport 22 accept") || !strings.Contains(ours, "policy drop") {
		t.Errorf("there is %s", ours)
	}

	for _, drift := range []string{
		"add rule inet banyan input tcp dport 23 accept", "flush chain inet banyan input",
		"add chain inet banyan other", "delete table inet banyan", "add set inet banyan s { type ipv4_addr; }",
	} {
		do(t, "nft", drift)
		loads(t, m, ssh, "load")
		if now := listed(t); now != ours {
			t.Errorf("after %s there is %s", drift, now)
		}
	}
	if err := os.Chmod(m.path(ssh.Path), 0o600); err != nil {
		t.Fatal(err)
	}
	loads(t, m, ssh, "change mode 0600 to 0644")
	loads(t, m, table("tcp dport 23 accept"), "change content")

	none := ssh
	none.Content = "table inet banyan\ndelete table inet banyan\n"
	loads(t, m, none, "change content")
	if now := all(); now != before {
		t.Errorf("of the others are left %s", now)
	}
}

// What the boot has loaded from the file is the last one that was loaded, too. It is not
// loaded again for that, which would count from zero.
func TestNFTableOfTheBoot(t *testing.T) {
	m := firewalled(t)
	ssh := table("tcp dport 22 counter packets 7 bytes 7 accept")
	write(t, m.path(ssh.Path), ssh.Content)
	if _, err := nft(t.Context(), strings.Replace(ssh.Content, "packets 7", "packets 9", 1), "--file", "-"); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{loadedTable: asLoaded("of before", ssh.With), refusedTable: "of before"} {
		write(t, m.path(path), content)
		loads(t, m, ssh, "remember as the one that was loaded last")
	}
	if there, err := durable.Exists(m.path(refusedTable)); there || err != nil {
		t.Errorf("one is refused still, %v", err)
	}
	if now := do(t, "nft", "list", "table", "inet", "banyan"); !strings.Contains(now, "packets 9") {
		t.Errorf("it was loaded again: %s", now)
	}
}

func TestBrokenNFTable(t *testing.T) {
	m := firewalled(t)
	loads(t, m, table("tcp dport 22 accept"), "create root:root 0644")
	before, file := listed(t), content(t, m.path("/etc/banyan/firewall.nft"))
	for rule, want := range map[string]string{
		"tcp dport 22 acept":          "nft: exit status 1: ",
		"tcp dport 22 jump elsewhere": "nft: exit status 1: ",
		`iif "eth0" accept`:           "name interfaces by iifname and oifname, not by iif and oif",
	} {
		if _, err := Apply(t.Context(), m, one(table("tcp dport 23 accept", rule)), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", rule, err)
		}
		if now := listed(t); now != before {
			t.Errorf("%s: there is %s", rule, now)
		}
		if now := content(t, m.path("/etc/banyan/firewall.nft")); now != file {
			t.Errorf("%s: the file has %s", rule, now)
		}
	}
	// It is right by itself, and cannot be loaded beside another's.
	do(t, "nft", "add", "chain", "inet", "banyan", "theirs")
	conflict := table("tcp dport 25 accept")
	conflict.Content = strings.Replace(conflict.Content, "delete table inet banyan\n", "", 1) + "create chain inet banyan theirs\n"
	before = listed(t)
	if _, err := Apply(t.Context(), m, one(conflict), nil); err == nil || !strings.Contains(err.Error(), "File exists") || listed(t) != before {
		t.Errorf("the error is %v; there is %s", err, listed(t))
	}
}

// Where nothing is loaded yet, a table with a mistake is loaded without its own rules, and
// the mistake is told at every run.
func TestNFTableFallsBack(t *testing.T) {
	m := firewalled(t)
	wrong := table("tcp dport 25 acept")
	for range 2 {
		if _, err := Apply(t.Context(), m, one(wrong), nil); err == nil || !strings.Contains(err.Error(), "acept") {
			t.Errorf("the error is %v", err)
		}
		for path, want := range map[string]string{wrong.Path: wrong.Fallback, loadedTable: asLoaded(wrong.Fallback, wrong.With)} {
			if got := content(t, m.path(path)); got != want {
				t.Errorf("%s has %s", path, got)
			}
		}
		if now := listed(t); !strings.Contains(now, "policy drop") {
			t.Errorf("there is %s", now)
		}
	}
	loads(t, m, table("tcp dport 25 accept"), "change content")
}

// A file that has to fit a table stays with the one that is loaded: it is not of a table that
// nft does not take, and comes with the fallback where nothing was loaded yet.
func TestFileOfNFTable(t *testing.T) {
	m := firewalled(t)
	right, wrong := table("tcp dport 22 accept"), table("tcp dport 22 acept")
	wrong.With = "Port 2222\n"
	port := func(table NFTable) TableFile {
		return TableFile{File{Path: "/etc/banyan/port.conf", Mode: 0o644, Content: table.With}, table.ID()}
	}
	both := func(table NFTable, want string) {
		t.Helper()
		state := one(table, port(table))
		state.Steps[0].Loose = true
		for range 2 {
			if _, err := Apply(t.Context(), m, state, nil); (err != nil) != (table.Content == wrong.Content) {
				t.Error(err)
			}
			if got := content(t, m.path(port(table).Path)); got != want {
				t.Errorf("the file has %q, want %q", got, want)
			}
		}
	}
	both(wrong, "Port 2222\n")
	both(right, "Port 22\n")
	both(wrong, "Port 22\n")
	moved := right
	moved.With = wrong.With
	both(moved, "Port 2222\n")

	// Refused, and nothing loaded that could tell: the file is as it was.
	if err := os.Remove(m.path(loadedTable)); err != nil {
		t.Fatal(err)
	}
	write(t, m.path(refusedTable), right.Content)
	if got := changes(apply(t, m, port(right))); got != nil {
		t.Errorf("changes are %v", got)
	}
}

// Off line the file is written, of the table that was loaded last, and what fits that one:
// this one has not been tried.
func TestNFTableOffLine(t *testing.T) {
	m := Machine{Root: t.TempDir()}
	ssh := table("tcp dport 22 accept")
	if err := os.MkdirAll(m.path("/etc/banyan"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ refused, loaded, with, want, change string }{
		{"", "", "Port 22\n", ssh.Fallback, "create root:root 0644"},
		{"", ssh.Content, "Port 22\n", ssh.Content, "change content"},
		{"", "another", "Port 22\n", "another", "change content"},
		{"", "another", "Port 2222\n", "another", ""},
		{"yet another", "another", "Port 2222\n", "another", ""},
		{ssh.Content, "another", "Port 2222\n", "another", ""},
		{ssh.Content, "yet another", "Port 2200\n", "yet another", "change content"},
	} {
		kept := c.loaded
		if kept != "" {
			kept = asLoaded(c.loaded, c.with)
		}
		for path, content := range map[string]string{refusedTable: c.refused, loadedTable: kept} {
			if err := os.RemoveAll(m.path(path)); err != nil {
				t.Fatal(err)
			}
			if content != "" {
				write(t, m.path(path), content)
			}
		}
		port := TableFile{File{Path: "/etc/banyan/port.conf", Mode: 0o644, Content: ssh.With}, ssh.ID()}
		got := slices.DeleteFunc(changes(apply(t, m, ssh, port)), func(change string) bool { return strings.HasPrefix(change, port.Path) })
		if got := strings.TrimPrefix(strings.Join(got, ""), ssh.Path+": "); got != c.change {
			t.Errorf("%+v: %q", c, got)
		}
		for path, want := range map[string]string{ssh.Path: c.want, port.Path: c.with} {
			if got := content(t, m.path(path)); got != want {
				t.Errorf("%+v: %s has %s", c, path, got)
			}
		}
	}
}

// Whatever stands around it, of a listing our table is taken whole.
func FuzzTableIn(f *testing.F) {
	f.Add("table inet a {\n\tchain c {\n\t}\n}\n", "\tchain input {\n\t\tcomment \"}\"\n\t}")
	f.Add("# Warning: table ip filter is managed by iptables-nft, do not touch!\ntable ip banyan {\n}\n", "")
	f.Add("table inet banyan2 {\n}\n", "\tset s {\n\t\telements = { 1,\n\t\t\t     2 }\n\t}")
	t1 := table()
	f.Fuzz(func(t *testing.T, others, body string) {
		const head = "table inet banyan {\n"
		if strings.Contains("\n"+others, "\n"+head) || strings.Contains("\n"+body, "\n}") || strings.HasSuffix(body, "\n") {
			return // nft lists a table once, and ends none within
		}
		ours := head + body + "\n}\n"
		if others != "" && !strings.HasSuffix(others, "\n") {
			others += "\n"
		}
		for _, listing := range []string{ours, others + ours, ours + others, others + ours + others} {
			if got := t1.in(listing); got != ours {
				t.Errorf("of %q it takes %q", listing, got)
			}
		}
		if got := t1.in(others); got != "" {
			t.Errorf("of %q it takes %q", others, got)
		}
	})
}
