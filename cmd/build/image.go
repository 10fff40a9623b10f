package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"banyan/internal/version"
	"banyan/rootfs"
	"banyan/seeds"
)

func imageCommand() *cobra.Command {
	var profile, output, firstboot string
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build a bootable disk image",
		Long: `Build a bootable disk image and, beside it, its manifest and SHA256SUMS.

The image boots by BIOS and by UEFI. Write it to a disk, drop a seed.yaml on its
BANYAN partition and start the machine. Building needs root.`,
		Example:           "  sudo build image --profile debian-13 --output dist/",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return errors.New("only root can make a root tree: run it with sudo")
			}
			if firstboot == "" {
				firstboot = beside("firstboot")
			}
			p, err := rootfs.LoadProfile(profile)
			if err != nil {
				return err
			}
			image, err := rootfs.Build(cmd.Context(), rootfs.Options{
				Profile: p, Version: version.Version, Output: output, Example: seeds.Example,
				Firstboot: firstboot,
			}, os.Stdout)
			if err != nil {
				return err
			}
			fmt.Println(image)
			return nil
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "debian-13", "what the image is made of: "+strings.Join(rootfs.ProfileNames(), ", "))
	cmd.Flags().StringVar(&output, "output", "dist", "the directory that the image goes to")
	cmd.Flags().StringVar(&firstboot, "firstboot", "", "the node's program (default firstboot beside this one)")
	cobra.CheckErr(errors.Join(
		cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(rootfs.ProfileNames(), cobra.ShellCompDirectiveNoFileComp)),
		cmd.MarkFlagDirname("output"),
	))
	return cmd
}

// beside is the path of the program of that name beside this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}
