package dnscp

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"banyan/internal/dnscp/config"
)

func TestReadPatroni(t *testing.T) {
	for content, want := range map[string]config.Patroni{
		"scope: a\nrestapi: {listen: 0.0.0.0:8008, connect_address: '10.0.0.1:8008'}":                             {URL: "http://10.0.0.1:8008"},
		"restapi: {listen: '10.0.0.1:8008'}":                                                                      {URL: "http://10.0.0.1:8008"},
		"restapi: {connect_address: '10.0.0.1:8008', certfile: /a.crt, cafile: /ca.crt}":                          {URL: "https://10.0.0.1:8008", CAFile: "/ca.crt"},
		"restapi: {connect_address: '10.0.0.1:8008', certfile: /a.crt, cafile: /ca.crt}\nctl: {cacert: /ctl.crt}": {URL: "https://10.0.0.1:8008", CAFile: "/ctl.crt"},
	} {
		if got, err := readPatroni([]byte(content)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s gives %+v (%v), want %+v", content, got, err, want)
		}
	}
	for _, content := range []string{"", "restapi: 1", "scope: a"} {
		if got, err := readPatroni([]byte(content)); err == nil {
			t.Errorf("%q gives %+v", content, got)
		}
	}
}

func TestRunningPatroni(t *testing.T) {
	proc := t.TempDir()
	for pid, line := range map[string]string{
		"17": "/usr/bin/python3\x00/usr/bin/patroni\x00/etc/patroni/15-main.yml\x00",
		"18": "/usr/bin/patronictl\x00-c\x00/etc/other.yml\x00list\x00",
		"19": "/usr/bin/vim\x00/etc/patroni/config.yml\x00",
		"20": "",
	} {
		dir := filepath.Join(proc, pid)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cmdline"), []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := runningPatroni(proc), []string{"/etc/patroni/15-main.yml"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
