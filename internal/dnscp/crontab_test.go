package dnscp

import "testing"

func TestCrontab(t *testing.T) {
	const program = "/etc/patroni/dnscp.sh"
	const others = "MAILTO=dba\n# dnscp.sh was here\n5 4 * * * /usr/bin/backup --to /etc/patroni/dnscp.sh\n"
	c := Call{Zone: "demo.ru", Server: "", TTL: 30, PasswordFile: "/etc/patroni/it's 100%.secret", Scope: "pgsql-cl"}
	line, err := c.cronLine(program)
	if err != nil {
		t.Fatal(err)
	}
	const want = `41 0 * * * /etc/patroni/dnscp.sh -vips '' -pwdfile '/etc/patroni/it'\''s 100\%.secret' -dnszonefqdn demo.ru -dnsserver '' -ttl 30 -- on_schedule registerdns pgsql-cl`
	if line != want {
		t.Errorf("the line is\n%s, want\n%s", line, want)
	}
	with := withLine(others, program, line)
	if with != others+line+"\n" {
		t.Errorf("with the line:\n%s", with)
	}
	// As dnscp.sh itself has left it.
	old := others + "53 00 * * * /etc/patroni/dnscp.sh -vips '10.0.0.1' -- on_schedule registerdns pgsql-cl"
	if got := withLine(old, program, line); got != with {
		t.Errorf("with the line in place of the script's:\n%s", got)
	}
	if got := withLine(with, program, ""); got != others {
		t.Errorf("without the line:\n%s", got)
	}
	c.Scope = "pgsql\ncl"
	if line, err := c.cronLine(program); err == nil {
		t.Errorf("a line break comes into a crontab: %q", line)
	}
}
