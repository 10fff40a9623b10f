package record

import (
	"net/netip"
	"strings"
	"testing"

	"banyan/internal/golden"
)

// What is sent, as text: one message that takes away the addresses of both families and
// adds those that are wanted.
func TestReplace(t *testing.T) {
	var all []string
	for _, test := range []struct {
		seen []netip.Addr
		Wanted
	}{
		{nil, Wanted{Name: "pgsql-cl.demo.ru", Addresses: addrs("172.16.32.180")}},
		{addrs("172.16.32.180"), Wanted{Name: "pgsql-cl.demo.ru", Addresses: addrs("2001:db8::180")}},
		{addrs("2001:db8::180", "172.16.32.180", "172.16.64.180"),
			Wanted{Name: "PGSQL-CL.demo.ru.", Addresses: addrs("2001:db8::180", "172.16.64.180", "172.16.32.180", "172.16.32.180", "::ffff:172.16.32.180")}},
	} {
		m := replace("demo.ru.", test.Wanted, 30, Record{Addresses: test.seen})
		m.Id = 1
		all = append(all, m.String())
	}
	golden.Check(t, "testdata/update.golden", strings.Join(all, "\n"))
}

func TestNSUpdateScript(t *testing.T) {
	n := network{}
	servers, err := n.updater(t, demoByName).resolve(t.Context(), "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/nsupdate.golden", nsupdateScript("DEMO.RU", servers[0], replace("demo.ru.", wanted, 30, Record{Addresses: addrs("10.0.0.1", "10.0.0.2")})))
}

func TestKrb5Conf(t *testing.T) {
	golden.Check(t, "testdata/krb5.conf.golden", krb5conf("DEMO.RU", true, "192.0.2.1:88", "[2001:db8::1]:88"))
}
