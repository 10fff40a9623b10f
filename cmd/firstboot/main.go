// Command firstboot makes the machine that it runs on a node of a PostgreSQL
// cluster, from its seed.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/disk"
	"banyan/internal/flow"
	"banyan/internal/initramfs"
	"banyan/internal/source"
	"banyan/internal/version"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(0) // the journal has the time

	return cli.Status("firstboot", rootCommand().ExecuteContext(ctx))
}

func rootCommand() *cobra.Command {
	var dryRun, asJSON bool
	root := &cobra.Command{
		Use:   "firstboot",
		Short: "Make this machine what its seed says",
		Long: `Make this machine what its seed says and join its cluster.

It runs at every boot, and a run on an unchanged node changes nothing. The seed
is the one that was planted here: see firstboot plant.

With --dry-run it changes nothing and says what a run would change: files as
unified diffs with secrets masked, the rest as a table. Exit status: 0 nothing
is to be done, 1 something cannot be done, 2 something is to be changed.`,
		Version:       version.Version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && !dryRun {
				return errors.New("--json is for --dry-run; firstboot status --json says what became of a run")
			}
			if err := needRoot(readsSeed); err != nil {
				return err
			}
			if !dryRun {
				return flow.Run(cmd.Context())
			}
			plan, err := flow.DryRun(cmd.Context())
			if err != nil {
				return err
			}
			return cli.Print(plan, asJSON)
		},
	}
	root.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, and say what would be changed")
	root.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	root.AddCommand(plantCommand(), statusCommand(), verifyCommand(), leaveCommand(), bootstrapCommand(), restoreEtcdCommand(), slotCommand(), initramfsCommand(), renderCommand(), answerCommand(), exportCommand(), etcdSnapshotCommand())
	root.CompletionOptions.HiddenDefaultCmd = true // what it prints is in the package
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	return root
}

// Why most commands are root's.
const (
	changes   = "this changes the machine"
	readsSeed = "the seed is for root alone"
)

// needRoot refuses who is not root, and says why.
func needRoot(why string) error {
	if os.Geteuid() != 0 {
		return errors.New(why + ": run this as root")
	}
	return nil
}

func plantCommand() *cobra.Command {
	var named source.Named
	cmd := &cobra.Command{
		Use:   "plant [FILE|URL]",
		Short: "Look for a seed until there is one, and plant it",
		Long: `Look for a seed until there is one that is valid and fits this machine; then
seal it into /var/lib/banyan, apply it and start banyan-firstboot.service.

Looked at, in this order: what banyan.seed= on the kernel's command line names,
the BANYAN partition of the disk that was booted, volumes labelled BANYAN-SEED
or CIDATA, the OEM strings of SMBIOS, QEMU's fw_cfg, the credential banyan.seed,
and /etc/banyan. On a medium the file named after this machine's MAC address,
serial number or host name comes before seed.yaml.

A seed that is named is the only one that is looked at.`,
		Example: `  firstboot plant /root/seed.yaml
  firstboot plant https://deploy.example.org/pgsql-n1.yaml --sha256 5f2c...`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: firstIsFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && (named.SHA256 != "" || named.Pin != "") {
				return errors.New("--sha256 and --pin are of a seed that is named: firstboot plant URL")
			}
			if err := needRoot(changes); err != nil {
				return err
			}
			named.At = strings.Join(args, "")
			return flow.Plant(cmd.Context(), named)
		},
	}
	cmd.Flags().Func("sha256", "the SHA-256 of the file, in `HEX`", named.SetSHA256)
	cmd.Flags().Func("pin", "the key of the server, or of its authority: `sha256:HEX` of its SubjectPublicKeyInfo", named.SetPin)
	return cmd
}

// firstIsFile has a shell complete the first argument of a command, and no other, as the
// name of a file.
func firstIsFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}

// exportCommand is what disk.Files runs.
func exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:    disk.ExportCommand + " DEVICE FILESYSTEM",
		Short:  "Write the seeds on a volume as a zip archive (run by firstboot itself)",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE:   func(_ *cobra.Command, args []string) error { return disk.Export(os.Stdout, args[0], args[1]) },
	}
}

// answerCommand is what banyan-peer.socket starts.
func answerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "answer",
		Short:  "Answer the other nodes what this one holds (run by systemd)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(readsSeed); err != nil {
				return err
			}
			listeners, err := activation.Listeners()
			if err != nil {
				return err
			}
			return flow.Answer(cmd.Context(), listeners)
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

// renderCommand is for a root that is started otherwise than by its initramfs, as in a
// container.
func renderCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "render",
		Short:  "Render /etc from the sealed seed before PID 1, if there is one",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(changes); err != nil {
				return err
			}
			flow.Render(cmd.Context())
			return nil
		},
	}
}
