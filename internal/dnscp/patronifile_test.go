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
		"restapi: {connect_address: 'h:8008', certfile: /a.crt, keyfile: /a.key, cafile: /ca.crt, verify_client: required}": {
			URL: "https://h:8008", CAFile: "/ca.crt", CertFile: "/a.crt", KeyFile: "/a.key"},
		"restapi: {connect_address: 'h:8008', certfile: /a.crt, verify_client: required}\nctl: {certfile: /both.pem}": {
			URL: "https://h:8008", CertFile: "/both.pem", KeyFile: "/both.pem"},
	} {
		if got, _, err := readPatroni([]byte(content)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s gives %+v (%v), want %+v", content, got, err, want)
		}
	}
	for _, content := range []string{"", "restapi: 1", "scope: a"} {
		if got, _, err := readPatroni([]byte(content)); err == nil {
			t.Errorf("%q gives %+v", content, got)
		}
	}
}

// TestChoosePatroni: a host may have several clusters, and a call is of one of them.
func TestChoosePatroni(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, scope := range []string{"main", "crm"} {
		path := filepath.Join(dir, scope+".yml")
		content := "scope: " + scope + "\nrestapi: {connect_address: '" + scope + ":8008'}"
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path, path)
	}
	for scope, want := range map[string]string{"main": "http://main:8008", "crm": "http://crm:8008", "other": "", "": ""} {
		got, err := choosePatroni(paths, scope)
		if got.URL != want || (err == nil) != (want != "") {
			t.Errorf("of %q it is %q (%v), want %q", scope, got.URL, err, want)
		}
	}
	nameless := filepath.Join(dir, "nameless.yml")
	if err := os.WriteFile(nameless, []byte("restapi: {connect_address: 'h:8008'}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := choosePatroni([]string{paths[0], nameless}, "crm"); err != nil || got.URL != "http://h:8008" {
		t.Errorf("of one whose file does not say which it is: %q (%v)", got.URL, err)
	}
	if got, err := choosePatroni(paths[:2], ""); err != nil || got.URL != "http://main:8008" {
		t.Errorf("of the only one it is %q (%v)", got.URL, err)
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
