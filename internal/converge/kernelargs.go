package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"banyan/internal/disk"
	"banyan/internal/initramfs"
	"banyan/internal/slot"
)

// KernelArguments is what the kernel is told at its start, from the next boot of the
// slot that runs on. Other arguments of the slot stay.
type KernelArguments struct {
	Own       []string // names of the parameters that are ours to set and to take away
	Arguments []string
}

// ID is "kernel arguments".
func (KernelArguments) ID() string { return "kernel arguments" }

// Diff reads the slot's arguments on the ESP, on a live machine that was booted from an
// image. Another host has a boot loader of its own.
func (k KernelArguments) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	boot, err := initramfs.ReadBoot()
	if errors.Is(err, fs.ErrNotExist) {
		return Difference{}, k.lackedBy(m)
	}
	if err != nil {
		return Difference{}, err
	}
	var now []string
	err = slot.WithESP(disk.ReadOnly, func(esp slot.ESP, booted string) (err error) {
		now, err = esp.Arguments(booted)
		return err
	})
	if err != nil {
		return Difference{}, err
	}
	if want := k.in(now); !slices.Equal(now, want) {
		return Difference{What: fmt.Sprintf("change those of slot %s from %q to %q, from the next boot on",
			boot.Slot, strings.Join(now, " "), strings.Join(want, " "))}, nil
	}
	return Difference{}, nil
}

// Apply writes them.
func (k KernelArguments) Apply(context.Context, Machine, Changed) error {
	return slot.WithESP(disk.ReadWrite, func(esp slot.ESP, booted string) error {
		now, err := esp.Arguments(booted)
		if err != nil {
			return err
		}
		return esp.SetArguments(booted, k.in(now))
	})
}

// in is a list of arguments with ours in place of those that we had in it.
func (k KernelArguments) in(arguments []string) []string {
	others := slices.DeleteFunc(slices.Clone(arguments), func(a string) bool {
		name, _, _ := strings.Cut(a, "=")
		return slices.Contains(k.Own, name)
	})
	return append(others, k.Arguments...)
}

// lackedBy is a skip where the kernel of a host without slots was not told the same.
func (k KernelArguments) lackedBy(m Machine) error {
	cmdline, err := os.ReadFile(m.path("/proc/cmdline"))
	if err != nil {
		return err
	}
	given := strings.Fields(string(cmdline))
	for _, a := range k.Arguments {
		if !slices.Contains(given, a) {
			return skip("this host was not booted from an image: have its own boot loader give the kernel %s", strings.Join(k.Arguments, " "))
		}
	}
	return nil
}
