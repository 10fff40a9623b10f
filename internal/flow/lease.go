package flow

import (
	"context"
	"errors"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"banyan/internal/command"
	"banyan/internal/initramfs"
	"banyan/internal/source"
)

// leaseFile has every wired interface ask for an address by DHCP, for as long as a
// seed is to be fetched: only the seed says what the node's own network is. Its name
// sorts behind all others.
const leaseFile = "/run/systemd/network/95-banyan-seed.network"

const leaseUnit = `# Written by Banyan, until a seed was fetched.
[Match]
Type=ether

[Network]
DHCP=yes
LinkLocalAddressing=ipv6
`

// lease gets this machine an address where the kernel's command line names its seed
// by a URL. A host that was not made from an image has a network of its own.
func lease(ctx context.Context) error {
	if _, err := initramfs.ReadBoot(); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	named, err := source.KernelNamed("/")
	if err != nil || !named.IsURL() {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(leaseFile), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(leaseFile, []byte(leaseUnit), 0o644); err != nil {
		return err
	}
	// One that has not started yet will read the file when it does.
	if _, err := command.Run(ctx, "networkctl", "reload"); err != nil {
		log.Printf("have systemd-networkd get an address: %v", err)
	}
	return nil
}

// endLease takes the file away before the node's own network is set up, whose
// setting up has systemd-networkd forget it.
func endLease() error {
	if err := os.Remove(leaseFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
