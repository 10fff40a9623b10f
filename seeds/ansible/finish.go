package ansible

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"banyan/internal/strict"
)

// finish writes the file, once what the schema refuses and the defaults are left out.
func (im *importer) finish() (*Result, error) {
	im.finishCluster()
	const name = "the cluster file"
	if len(im.report.Missing) > 0 {
		return im.nothing()
	}
	seed, refused, err := im.settle(name)
	var problems strict.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			im.missing("", place{}, "%s: %s", strings.TrimSpace(p.Source), p.Message)
		}
		return im.nothing()
	}
	if err != nil {
		return nil, err
	}
	for _, r := range refused {
		why := "left out: "
		if r.from.variable == "postgresql_pg_hba" { // it may have rejected
			why = "left out, so that the lines after it count in its place: "
		}
		im.needed(r.from, "", "%s%s", why, r.message)
	}
	defaults, err := im.leaveOutDefaults(name, seed)
	if err != nil {
		return nil, err
	}
	for _, l := range defaults {
		if from, ok := im.originOf(l); ok && from.variable != "" {
			im.note(&im.report.Taken, from.variable, from.at, l.path, "the default: left out")
		}
	}
	im.reportTaken()
	im.reportRead()
	data, err := im.render()
	if err != nil {
		return nil, err
	}
	im.report.sort(im.files())
	return &Result{append([]byte(im.header()), data...), im.report}, nil
}

// nothing is the result where something is missing. What would become of the rest is
// for when it is there.
func (im *importer) nothing() (*Result, error) {
	report := Report{Missing: im.report.Missing}
	report.sort(im.files())
	return &Result{Report: report}, nil
}

// finishCluster writes what goes for the cluster as a whole.
func (im *importer) finishCluster() {
	from := origin{"patroni_cluster_name", im.variables["patroni_cluster_name"].at}
	if im.in.ClusterName != "" {
		im.set(from, text(im.in.ClusterName), "cluster", "name")
	} else if member(im.root, "cluster") == nil || member(member(im.root, "cluster"), "name") == nil && !im.seen["patroni_cluster_name"] {
		im.missing("patroni_cluster_name", from.at, "the cluster has no name: say --cluster-name NAME")
	}
	im.takeExisting()
	if !im.seen["ansible_user"] && !im.seen["ansible_ssh_user"] {
		takeAccount(im, origin{}, value{})
	}
}

// takeExisting: the first node is the one whose data the cluster is made of.
func (im *importer) takeExisting() {
	exists := func(n *node) (bool, place) {
		said, ok := n.lookup("postgresql_exists")
		if v := im.variables["postgresql_exists"]; !ok || v.node != nil { // a file counts before the inventory
			return im.yes("postgresql_exists"), v.at
		}
		is, _ := truth(im.template(said.text, said.at).text)
		return is, said.at
	}
	for i, n := range im.nodes {
		if is, at := exists(n); is && n.runs("postgresql") {
			from := origin{"postgresql_exists", at}
			if i > 0 {
				im.needed(from, "postgresql.existing", "%s holds data and %s, the first node, does not: put first the node whose data counts, and write postgresql.existing", n.name, im.nodes[0].name)
				return
			}
			im.set(from, bare("true"), "postgresql", "existing")
			im.needed(from, "postgresql.existing", "Patroni takes over the data of %s: keep the disk with it; and where its system had another glibc, text may sort otherwise: reindex it then", n.name)
			return
		}
	}
}

// reportTaken lists the variables that the file is made of, each once.
func (im *importer) reportTaken() {
	type taken struct {
		from origin
		keys []string
	}
	var all []*taken
	byVariable, known := map[string]*taken{}, map[[2]string]bool{}
	walk("", im.root, nil, func(l leaf) {
		from, ok := im.origins[l.node]
		if !ok || from.variable == "" || l.node.Kind == yaml.MappingNode {
			return
		}
		key := listIndex.ReplaceAllString(l.path, "[]")
		for _, above := range l.above { // of which it is a part
			if im.origins[above].variable == from.variable {
				return
			}
		}
		if slices.ContainsFunc(im.report.Changed, func(e Entry) bool { return e.Variable == from.variable && e.Key == key && e.at == from.at }) {
			return
		}
		t := byVariable[from.variable]
		if t == nil {
			t = &taken{from: from}
			byVariable[from.variable] = t
			all = append(all, t)
		}
		if pair := [2]string{from.variable, key}; !known[pair] {
			known[pair] = true
			t.keys = append(t.keys, key)
		}
	})
	for _, t := range all {
		if v, ok := im.variables[t.from.variable]; ok {
			t.from.at = v.at
		}
		const most = 3
		key, note := strings.Join(t.keys, ", "), ""
		if len(t.keys) > most {
			key, _, _ = strings.Cut(t.keys[0], "."+lastOf(t.keys[0]))
			note = fmt.Sprintf("%d of them", len(t.keys))
			if r, known := tableRow(t.from.variable); known {
				key = r.Key
			}
		}
		im.note(&im.report.Taken, t.from.variable, t.from.at, key, note)
	}
}

// reportRead lists the variables that count though the file says nothing of them.
func (im *importer) reportRead() {
	for _, r := range table {
		if v, ok := im.find(r.Variable); ok && !im.seen[r.Variable] {
			im.note(&im.report.Taken, r.Variable, v.at, r.Key, "")
		}
	}
}

var listIndex = regexp.MustCompile(`\[\d+\]`)

func lastOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// header says where the file comes from and what is next.
func (im *importer) header() string {
	files := im.files()
	for i, name := range files {
		files[i] = printable(name)
	}
	return fmt.Sprintf(`# Made by build seed import of what pgsql_cluster was told in
# %s.
#
# What is not here is as by default, which is mostly as in pgsql_cluster.
# This file holds passwords. Next: build seed check FILE, then build seed mint FILE.

`, strings.Join(files, ", "))
}
