package packaging

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"banyan/internal/command"
	"banyan/internal/dnscp/config"
	"banyan/internal/golden"
)

var products = []product{firstboot, dnscp}

// Debian's own tool reads what dpkg will.
func TestPackages(t *testing.T) {
	for _, p := range products {
		t.Run(p.program, func(t *testing.T) {
			dir := t.TempDir()
			binary := filepath.Join(dir, "program")
			if err := os.WriteFile(binary, []byte("a program"), 0o600); err != nil {
				t.Fatal(err)
			}
			options := Options{Version: "0.1.0~git1", Date: time.Unix(1_700_000_000, 0), Output: dir}
			deb, err := p.pack(options, binary)
			if err != nil {
				t.Fatal(err)
			}
			first, err := os.ReadFile(deb)
			if err != nil {
				t.Fatal(err)
			}
			fields, err := command.Run(t.Context(), "dpkg-deb", "--field", deb, "Package", "Version", "Architecture", "Depends", "Recommends", "Suggests", "Description")
			if err != nil {
				t.Fatal(err)
			}
			contents, err := command.Run(t.Context(), "dpkg-deb", "--contents", deb)
			if err != nil {
				t.Fatal(err)
			}
			var files strings.Builder
			for line := range strings.Lines(contents) {
				if f := strings.Fields(line); f[0][0] != 'd' || strings.HasPrefix(f[5], "./etc/") {
					fmt.Fprintln(&files, f[0], f[1], f[5])
				}
			}
			golden.Check(t, "testdata/"+p.program+".golden", fields+"\n"+files.String())

			if _, err := p.pack(options, binary); err != nil {
				t.Fatal(err)
			}
			second, err := os.ReadFile(deb)
			if err != nil {
				t.Fatal(err)
			}
			if string(first) != string(second) {
				t.Error("one input gave two packages")
			}
		})
	}
}

// The configuration that dnscp's users begin with is one.
func TestTheExampleIsAConfiguration(t *testing.T) {
	text, err := sources.ReadFile("dnscp/config.yml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Parse("config.yml", text); err != nil {
		t.Error(err)
	}
	// So it is with what stands there as a comment, but for what excludes other keys.
	all := regexp.MustCompile(`(?m)^( *)#([a-z]|  )`).ReplaceAllString(string(text), "$1$2")
	all = regexp.MustCompile(`(?m)^ *(key_name|algorithm):.*\n`).ReplaceAllString(all, "")
	c, err := config.Parse("config.yml", []byte(all))
	if err != nil {
		t.Fatal(err)
	}
	if c.HoldDown == 0 || c.Interface == "" || c.DNS.ReadName == "" || len(c.DNS.Servers) == 0 || !c.DNS.NSUpdate || c.DNS.Realm == "" || c.Patroni.KeyFile == "" || c.Metrics.Textfile == "" {
		t.Errorf("a key is missing: %+v", c)
	}
}

func TestChangelog(t *testing.T) {
	east := time.FixedZone("", 3*60*60) // of whoever builds: it must not matter
	got := dnscp.changelog(Options{Version: "0.1.0~git1", Date: time.Unix(1_700_000_000, 0).In(east)})
	if want := `banyan-dnscp (0.1.0~git1) unstable; urgency=medium

  * What changed is in the history of Banyan's git repository.

 -- The Banyan authors <banyan@example.org>  Tue, 14 Nov 2023 22:13:20 +0000
`; got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestWithoutTheProgram(t *testing.T) {
	for _, p := range products {
		_, err := p.pack(Options{Version: "1", Output: t.TempDir()}, "/nonexistent/program")
		if err == nil || !strings.Contains(err.Error(), "/nonexistent/program") {
			t.Errorf("%s: got %v", p.program, err)
		}
	}
}
