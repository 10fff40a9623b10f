package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/disk"
	"banyan/internal/slot"
)

func slotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "slot",
		Short: "Say what the slots hold, and what GRUB is to boot",
		Long: `Say what the slots of the disk that was booted hold, and what GRUB is to boot.

A disk has two slots, a and b, each with room for one image: kernel, initramfs
and root.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, // without it a misspelt command would be no error
	}
	cmd.AddCommand(slotListCommand(), slotDefaultCommand(), slotArgumentsCommand())
	return cmd
}

func slotListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the slots and what is in them",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var slots []slot.Slot
			err := withESP(disk.ReadOnly, func(esp slot.ESP, booted string) (err error) {
				slots, err = esp.List(booted)
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				return cli.JSON(slots)
			}
			fmt.Print(slot.Table(slots))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func slotDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "default SLOT",
		Short: "Boot that slot from the next boot on",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			err := withESP(disk.ReadWrite, func(esp slot.ESP, _ string) error { return esp.SetDefault(name) })
			if err != nil {
				return err
			}
			fmt.Printf("slot %s is booted from the next boot on\n", name)
			return nil
		},
	}
}

func slotArgumentsCommand() *cobra.Command {
	var clearAll bool
	cmd := &cobra.Command{
		Use:   "arguments SLOT [ARGUMENT...]",
		Short: "Give the kernel of a slot arguments besides the image's own",
		Long: `Give the kernel of a slot arguments besides the image's own, instead of those
that it was given before. They come after the image's, so that loglevel= or
console= of theirs counts.`,
		Example: `  firstboot slot arguments a console=ttyS1,115200n8 mitigations=auto
  firstboot slot arguments a --clear`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name, arguments := args[0], args[1:]
			switch {
			case clearAll && len(arguments) > 0:
				return errors.New("--clear takes all extra arguments away: name none with it")
			case !clearAll && len(arguments) == 0:
				return errors.New("no argument is named: name those that replace the former ones, or say --clear")
			}
			err := withESP(disk.ReadWrite, func(esp slot.ESP, _ string) error { return esp.SetArguments(name, arguments) })
			if err != nil {
				return err
			}
			if clearAll {
				fmt.Printf("slot %s has no extra kernel arguments from its next boot on\n", name)
			} else {
				fmt.Printf("slot %s has these extra kernel arguments from its next boot on: %s\n", name, strings.Join(arguments, " "))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&clearAll, "clear", false, "take them all away")
	return cmd
}

func withESP(access disk.Access, do func(esp slot.ESP, booted string) error) error {
	if err := needRoot("the ESP is for root alone"); err != nil {
		return err
	}
	return slot.WithESP(access, do)
}
