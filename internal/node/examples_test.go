package node

import (
	"io/fs"
	"strings"
	"testing"

	"banyan/internal/diff"
	"banyan/internal/facts"
	"banyan/internal/golden"
	"banyan/rootfs"
	"banyan/seeds"
)

// Every example passes check and renders for every profile. A golden file has the
// first node as the default profile makes it; those of its other nodes, and those of
// other profiles, have what is different from that.
func TestExamples(t *testing.T) {
	files, err := fs.Glob(seeds.Examples, "examples/*.yaml")
	if err != nil || len(files) < 9 {
		t.Fatalf("the examples are %v: %v", files, err)
	}
	for _, file := range files {
		data, err := seeds.Examples.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(file, "examples/"), ".yaml")
		t.Run(name, func(t *testing.T) {
			const standard = "debian-13"
			first := rendered(t, file, data, standard)[0]
			for _, profile := range rootfs.ProfileNames() {
				var b strings.Builder
				nodes := rendered(t, file, data, profile)
				if profile == standard {
					b.WriteString(first.text)
					nodes = nodes[1:]
				}
				for _, n := range nodes {
					d, err := diff.Unified(t.Context(), first.name+" of "+standard, n.name+" of "+profile, first.text, n.text)
					if err != nil {
						t.Fatal(err)
					}
					b.WriteString(d)
				}
				golden.Check(t, "testdata/examples/"+name+"."+profile+".golden", b.String())
			}
		})
	}
}

// typicalServer is a machine that each example may be planted on.
var typicalServer = facts.Facts{
	Memory: 64 * gb, CPUs: 16, DataSize: 400 * gb, Kernel: facts.Version{Major: 6, Minor: 12},
	Disks: []facts.Disk{
		{Name: "nvme0n1", Serial: "S5GXNX0T100001", Model: "SAMSUNG MZQL21T9HCJR", Size: 1920383410176, Class: seeds.DiskClassNVMe},
		{Name: "nvme1n1", Serial: "S5GXNX0T200002", Model: "SAMSUNG MZQL2480HCHQ", Size: 480103981056, Class: seeds.DiskClassNVMe},
		{Name: "sda", Serial: "S3Z8NB0K123456", Model: "SAMSUNG MZ7LH960", Size: 960197124096, Class: seeds.DiskClassSSD},
		{Name: "sdb", Serial: "WD-WCC6Y0AB1234", Model: "WDC WD5003ABYX", Size: 500107862016, Class: seeds.DiskClassRotational, Boot: true},
	},
}

type renderedNode struct{ name, text string }

// rendered is all nodes of an example on machines with an image of a profile.
func rendered(t *testing.T, file string, data []byte, profile string) []renderedNode {
	t.Helper()
	p, err := rootfs.LoadProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	f := typicalServer
	f.Installed = p.Installed()
	s, _, err := seeds.ParseCluster(file, data, seeds.Image{Name: p.Name, PostgreSQL: f.PostgreSQL, Patroni: seeds.PatroniVersion(f.Patroni), Locales: p.Locales})
	if err != nil {
		t.Fatal(err)
	}
	var all []renderedNode
	for _, n := range s.Nodes {
		shown, err := Preview(s, n.Name, f)
		if err != nil {
			t.Fatalf("%s on %s: %v", n.Name, profile, err)
		}
		text := Text(shown)
		if strings.Contains(text, "change-me: ") {
			t.Fatalf("a secret would come into the golden file:\n%s", text)
		}
		all = append(all, renderedNode{n.Name, text})
	}
	return all
}
