package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"banyan/seeds"
)

// runImport runs the command on the files of pgsql_cluster, which package
// seeds/ansible has, and returns what it printed.
func runImport(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	const testdata = "../../seeds/ansible/testdata/"
	root := rootCommand()
	root.SetArgs(append([]string{"seed", "import", "--vars", testdata + "main.yml", "--vars", testdata + "Debian.yml",
		"--system", testdata + "system.yml", "--inventory", testdata + "inventory"}, arguments...))
	root.SetOut(io.Discard)
	stdout, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	defer func(out, errors *os.File) { os.Stdout, os.Stderr = out, errors }(os.Stdout, os.Stderr)
	os.Stdout, os.Stderr = stdout, stdout
	failed := root.Execute()
	printed, err := os.ReadFile(stdout.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(printed), failed
}

func TestSeedImport(t *testing.T) {
	output := filepath.Join(t.TempDir(), "cluster.yaml")
	printed, err := runImport(t, "--output", output)
	if err == nil || !strings.Contains(err.Error(), "nothing was written: 3 answers are missing") || !strings.Contains(printed, "--address pgsql-n3=") {
		t.Fatalf("without addresses: %v\n%s", err, printed)
	}
	if _, err := os.Stat(output); err == nil {
		t.Fatal("a file was written though answers are missing")
	}

	answers := []string{"--address", "pgsql-n1=172.16.32.11/24", "--address", "pgsql-n2=172.16.32.12/24", "--address", "pgsql-n3=172.16.32.13/24",
		"--gateway", "172.16.32.1", "--cluster-name", "db", "--output", output}
	if printed, err := runImport(t, answers...); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	info, err := os.Stat(output)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("the mode of the file is %o", info.Mode())
	}
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	seed, _, err := seeds.ParseCluster(output, data)
	if err != nil {
		t.Fatal(err)
	}
	if seed.Cluster.Name != "db" || len(seed.Nodes) != 3 || seed.Nodes[0].Gateway.String() != "172.16.32.1" {
		t.Errorf("cluster %q of %d nodes", seed.Cluster.Name, len(seed.Nodes))
	}

	if _, err := runImport(t, answers...); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("over a file that is there: %v", err)
	}
	printed, err = runImport(t, append(answers, "--force", "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	var report map[string][]struct{ Variable, Place, Key, Note string }
	if err := json.NewDecoder(strings.NewReader(printed)).Decode(&report); err != nil || len(report["taken"]) == 0 || len(report["none"]) == 0 {
		t.Errorf("the report is no JSON: %v\n%s", err, printed)
	}

	for _, bad := range [][]string{
		{"--address", "pgsql-n1"}, {"--address", "pgsql-n1=172.16.32.11"}, {"--name", "172.16.32.11"}, {"--subnet", "172.16.32.0"}, {"--gateway", "router"}, {"--vars", "nowhere.yml"},
	} {
		if _, err := runImport(t, append(bad, "--output", output+"2")...); err == nil || !strings.Contains(err.Error(), bad[1]) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
