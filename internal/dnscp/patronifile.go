package dnscp

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gopkg.in/yaml.v3"

	"banyan/internal/dnscp/config"
)

// patroniFiles are where Patroni's configuration is by Debian, and by pgsql_cluster.
var patroniFiles = []string{"/etc/patroni/config.yml", "/etc/patroni/patroni.yml"}

// findPatroni finds the REST API of this host's Patroni of a cluster: in the configuration that
// a running one was started with, or else where it usually is. Without a scope it is that of the
// only cluster that is found.
func findPatroni(scope string) (config.Patroni, error) {
	return choosePatroni(append(runningPatroni("/proc"), patroniFiles...), scope)
}

func choosePatroni(paths []string, scope string) (config.Patroni, error) {
	var errs []error
	found := map[string]config.Patroni{} // by scope
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var p config.Patroni
		var of string
		if err == nil {
			p, of, err = readPatroni(content)
		}
		if err == nil && scope != "" && of != "" && of != scope { // PATRONI_SCOPE may have it, too
			err = fmt.Errorf("it is of the cluster %q, not %q", of, scope)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		if _, known := found[of]; !known {
			found[of] = p
		}
	}
	switch {
	case len(found) > 1:
		return config.Patroni{}, fmt.Errorf("there are %d clusters on this host, and the call does not say which it is for", len(found))
	case len(found) == 0 && len(errs) == 0:
		errs = append(errs, fmt.Errorf("there is none of %s", strings.Join(patroniFiles, ", ")))
	}
	for _, p := range found {
		return p, nil
	}
	return config.Patroni{}, errors.Join(errs...)
}

// runningPatroni are the configurations that processes of that name were started with, which are
// root's or this process's user's: anybody may give a process a name.
func runningPatroni(proc string) []string {
	lines, err := filepath.Glob(filepath.Join(proc, "[0-9]*/cmdline"))
	if err != nil {
		return nil // the pattern is a constant
	}
	var found []string
	for _, path := range lines {
		info, err := os.Stat(path)
		if err != nil { // it has ended meanwhile
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
			continue
		}
		line, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var is bool
		for word := range bytes.SplitSeq(line, []byte{0}) {
			switch w := string(word); {
			case filepath.Base(w) == "patroni":
				is = true
			case is && filepath.IsAbs(w) && (strings.HasSuffix(w, ".yml") || strings.HasSuffix(w, ".yaml")):
				found = append(found, w)
			}
		}
	}
	return found
}

// readPatroni is the part of Patroni's configuration that says how to ask it, and of which cluster
// it is: https://patroni.readthedocs.io/en/latest/yaml_configuration.html
func readPatroni(content []byte) (p config.Patroni, scope string, err error) {
	var c struct {
		Scope   string `yaml:"scope"`
		RESTAPI struct {
			ConnectAddress string `yaml:"connect_address"`
			Listen         string `yaml:"listen"`
			CertFile       string `yaml:"certfile"`
			KeyFile        string `yaml:"keyfile"`
			CAFile         string `yaml:"cafile"`
			VerifyClient   string `yaml:"verify_client"`
		} `yaml:"restapi"`
		CTL struct {
			CACert   string `yaml:"cacert"`
			CertFile string `yaml:"certfile"`
			KeyFile  string `yaml:"keyfile"`
		} `yaml:"ctl"`
	}
	if err := yaml.Unmarshal(content, &c); err != nil {
		return config.Patroni{}, "", err
	}
	address := c.RESTAPI.ConnectAddress
	if address == "" {
		address = c.RESTAPI.Listen
	}
	if address == "" {
		return config.Patroni{}, "", errors.New("restapi.connect_address is missing")
	}
	if c.RESTAPI.CertFile == "" {
		return config.Patroni{URL: "http://" + address}, c.Scope, nil
	}
	p = config.Patroni{URL: "https://" + address, CAFile: cmp.Or(c.CTL.CACert, c.RESTAPI.CAFile)}
	if c.RESTAPI.VerifyClient == "required" { // as Patroni's own clients have it
		p.CertFile, p.KeyFile = c.CTL.CertFile, c.CTL.KeyFile
		if p.CertFile == "" {
			p.CertFile, p.KeyFile = c.RESTAPI.CertFile, c.RESTAPI.KeyFile
		}
		p.KeyFile = cmp.Or(p.KeyFile, p.CertFile) // which may hold both
	}
	return p, c.Scope, nil
}
