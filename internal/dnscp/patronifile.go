package dnscp

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"banyan/internal/dnscp/config"
)

// patroniFiles are where Patroni's configuration is by Debian, and by pgsql_cluster.
var patroniFiles = []string{"/etc/patroni/config.yml", "/etc/patroni/patroni.yml"}

// findPatroni finds the REST API of this host's Patroni: in the configuration that a running
// one was started with, or else where it usually is.
func findPatroni() (config.Patroni, error) {
	var errs []error
	for _, path := range append(runningPatroni("/proc"), patroniFiles...) {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			var found config.Patroni
			if found, err = readPatroni(content); err == nil {
				return found, nil
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", path, err))
	}
	if len(errs) == 0 {
		errs = append(errs, fmt.Errorf("there is none of %s", strings.Join(patroniFiles, ", ")))
	}
	return config.Patroni{}, errors.Join(errs...)
}

// runningPatroni are the configurations that processes of that name were started with.
func runningPatroni(proc string) []string {
	lines, err := filepath.Glob(filepath.Join(proc, "[0-9]*/cmdline"))
	if err != nil {
		return nil // the pattern is a constant
	}
	var found []string
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil { // it has ended meanwhile
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

// readPatroni is the part of Patroni's configuration that says how to ask it:
// https://patroni.readthedocs.io/en/latest/yaml_configuration.html
func readPatroni(content []byte) (config.Patroni, error) {
	var c struct {
		RESTAPI struct {
			ConnectAddress string `yaml:"connect_address"`
			Listen         string `yaml:"listen"`
			CertFile       string `yaml:"certfile"`
			CAFile         string `yaml:"cafile"`
		} `yaml:"restapi"`
		CTL struct {
			CACert string `yaml:"cacert"`
		} `yaml:"ctl"`
	}
	if err := yaml.Unmarshal(content, &c); err != nil {
		return config.Patroni{}, err
	}
	address := c.RESTAPI.ConnectAddress
	if address == "" {
		address = c.RESTAPI.Listen
	}
	if address == "" {
		return config.Patroni{}, errors.New("restapi.connect_address is missing")
	}
	p := config.Patroni{URL: "http://" + address}
	if c.RESTAPI.CertFile != "" {
		p.URL = "https://" + address
		p.CAFile = c.CTL.CACert
		if p.CAFile == "" {
			p.CAFile = c.RESTAPI.CAFile
		}
	}
	return p, nil
}
