package ansible

import (
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"banyan/seeds"
)

var sixteen = []netip.Prefix{netip.MustParsePrefix("172.16.0.0/16")}

// FuzzImport: it never panics, and a cluster file that it writes is one.
func FuzzImport(f *testing.F) {
	in := files(f)
	for _, file := range in.Vars {
		f.Add(file.Data, in.Inventory.Data)
	}
	for _, dcs := range []string{"etcd", "patroni"} {
		f.Add([]byte("patroni_cluster_name: a\ndcs_type: "+dcs+"\ncluster_vip: 172.16.32.80\npostgresql_parameters: [{option: a.b, value: \"'x'\"}]\n"+
			"sysctl_conf: {db: [{name: a, value: 1}]}\nfirewall_allowed_tcp_ports_for: {master: ['1:2', \"{{ x }}\"]}\n"),
			[]byte("[master]\npgsql-n1\n[etcd_cluster]\npgsql-n[1:3]\n[balancers]\n172.16.32.9\n"))
	}
	f.Fuzz(func(t *testing.T, vars, inventory []byte) {
		in := Input{Vars: []File{{"main.yml", vars}}, Inventory: File{"inventory", inventory}, Addresses: in.Addresses, Subnets: sixteen}
		result, err := Import(in)
		if err != nil {
			return
		}
		if (result.Cluster == nil) != (len(result.Report.Missing) > 0) {
			t.Fatalf("a file of %d bytes, and %d are missing", len(result.Cluster), len(result.Report.Missing))
		}
		if result.Cluster != nil {
			if _, _, err := seeds.ParseCluster("cluster.yaml", result.Cluster); err != nil {
				t.Errorf("%v\n%s", err, result.Cluster)
			}
		}
		var printed strings.Builder
		if err := result.Report.Print(&printed); err != nil {
			t.Error(err)
		}
		for _, c := range printed.String() {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Errorf("%U reaches the terminal", c)
			}
		}
	})
}
