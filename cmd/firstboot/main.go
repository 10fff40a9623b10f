// Command firstboot makes the machine that it runs on a node of a PostgreSQL
// cluster, from its seed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"banyan/internal/flow"
	"banyan/internal/initramfs"
	"banyan/internal/version"
)

// exitCode ends the program without a word.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(0) // the journal has the time

	err := rootCommand().ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	default:
		fmt.Fprintf(os.Stderr, "firstboot: %v\n", err)
		return 1
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "firstboot",
		Short: "Make this machine what its seed says",
		Long: `Make this machine what its seed says and join its cluster.

It runs at every boot, and a run on an unchanged node changes nothing. The seed
is the one that was planted here: see firstboot plant.`,
		Version:       version.Version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			return flow.Run(cmd.Context())
		},
	}
	root.AddCommand(plantCommand(), statusCommand(), slotCommand(), initramfsCommand())
	root.CompletionOptions.HiddenDefaultCmd = true // what it prints is in the package
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	return root
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("this changes the machine: run it as root")
	}
	return nil
}

func plantCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plant",
		Short: "Look for a seed until there is one, and plant it",
		Long: `Look for a seed until there is one that is valid and fits this machine; then
seal it into /var/lib/banyan, apply it and start banyan-firstboot.service.

Looked at, in this order: the BANYAN partition of the disk that was booted,
volumes labelled BANYAN-SEED or CIDATA, and /etc/banyan/seed.yaml.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			return flow.Plant(cmd.Context())
		},
	}
}

func initramfsCommand() *cobra.Command {
	var boot initramfs.Boot
	cmd := &cobra.Command{
		Use:    "initramfs",
		Short:  "Prepare the machine before PID 1 (run by the initramfs)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return flow.Initramfs(cmd.Context(), boot) },
	}
	cmd.Flags().StringVar(&boot.Disk, "disk", "", "the disk that GRUB booted from")
	cmd.Flags().StringVar(&boot.Slot, "slot", "", "the slot that GRUB booted")
	return cmd
}

func printJSON(v any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
