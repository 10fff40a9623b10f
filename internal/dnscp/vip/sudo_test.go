package vip

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeSudo makes a sudo that does what the script says and nothing else.
func fakeSudo(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sudo"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestTheCommandsOfSudo has a sudo that writes down what it is asked for.
func TestTheCommandsOfSudo(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	fakeSudo(t, `echo "$*" >>'`+log+"'\n")
	four := Place{Interface: "bond0.100", Index: 7777, Address: netip.PrefixFrom(vip4, 24)}
	six := Place{Interface: "bond0.100", Index: 7777, Address: netip.PrefixFrom(vip6, 64)}
	for _, err := range []error{
		Sudo{}.Lease(four, 0), Sudo{}.Lease(six, 0),
		Sudo{}.Lease(four, 2500*time.Millisecond), Sudo{}.Lease(six, 2500*time.Millisecond),
		Sudo{}.Announce(four),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := (Sudo{}).Announce(six); err == nil || !strings.Contains(err.Error(), "arping knows IPv4 only") {
		t.Errorf("got %v", err)
	}
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	const want = `-n ip address replace 172.16.32.180/24 dev bond0.100 valid_lft forever preferred_lft forever
-n ip address replace 2001:db8::180/64 dev bond0.100 nodad noprefixroute valid_lft forever preferred_lft 0
-n ip address replace 172.16.32.180/24 dev bond0.100 valid_lft 2 preferred_lft 2
-n ip address replace 2001:db8::180/64 dev bond0.100 nodad noprefixroute valid_lft 2 preferred_lft 0
-n arping -U -c 1 -I bond0.100 -s 172.16.32.180 172.16.32.180
-n arping -A -c 1 -I bond0.100 -s 172.16.32.180 172.16.32.180
`
	if string(got) != want {
		t.Errorf("it ran:\n%s", got)
	}
}

func TestSudoRefuses(t *testing.T) {
	fakeSudo(t, "echo 'sudo: a password is required' >&2; exit 1\n")
	err := Sudo{}.Lease(Place{Interface: "eth0", Index: 7777, Address: netip.PrefixFrom(vip4, 24)}, 0)
	if err == nil || err.Error() != "lease 172.16.32.180/24 on eth0: sudo: exit status 1: sudo: a password is required" {
		t.Errorf("got %v", err)
	}
}
