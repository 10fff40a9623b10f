package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/media"
)

func seedWriteCommand() *cobra.Command {
	var image, device, output string
	var format, asJSON bool
	cmd := &cobra.Command{
		Use:   "write SEED... {--image IMG | --device DISK | --output FILE}",
		Short: "Put seeds on an image, a stick or a CD",
		Long: `Put seeds where a node finds them: on the BANYAN partition of a raw disk image, or
of a disk or stick with an image on it; on a stick labelled BANYAN-SEED; or in the
image of such a stick (FILE.img) or of a CD for a virtual drive (FILE.iso).

One seed becomes seed.yaml, in the place of an earlier one. Several are for several
machines on one stick and become seeds/NAME.yaml, where each machine finds its own
by NAME: its host name, its serial number or the MAC address of a network
interface, with hyphens. An encrypted seed has .age at the end of its name.

A seed that is not valid is refused before anything is written. A device has to be
named as a whole disk, and is refused where it is mounted or holds anything else.
Deleted files on FAT can be read again, those of earlier seeds too.`,
		Example: `  build seed write n1.yaml --image dist/banyan-debian-13-0.1.0.img
  sudo build seed write n1.yaml --device /dev/sdb
  sudo build seed write rack/*.yaml --device /dev/sdb --format
  build seed write n1.yaml --output seed.iso`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format && device == "" {
				return errors.New("--format is for a --device")
			}
			files, err := media.Read(args)
			if err != nil {
				return err
			}
			var r media.Report
			switch {
			case image != "":
				r, err = media.WriteImage(cmd.Context(), image, files)
			case device != "":
				r, err = media.WriteDevice(cmd.Context(), device, files, format)
			default:
				r, err = media.WriteFile(cmd.Context(), output, files)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return cli.JSON(r)
			}
			fmt.Printf("%s holds %s\n", r.Target, strings.Join(r.Files, ", "))
			if len(r.Replaced) > 0 {
				fmt.Printf("replaced: %s\n", strings.Join(r.Replaced, ", "))
			}
			if len(r.Others) > 0 {
				fmt.Printf("still there from before: %s\n", strings.Join(r.Others, ", "))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&image, "image", "", "the raw disk image's `file`; its line in SHA256SUMS is about it without a seed")
	flags.StringVar(&device, "device", "", "the `disk` or stick, such as /dev/sdb")
	flags.BoolVar(&format, "format", false, "make a stick of a --device that is empty")
	flags.StringVar(&output, "output", "", "the `file` to make, .img or .iso")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsOneRequired("image", "device", "output")
	cmd.MarkFlagsMutuallyExclusive("image", "device", "output")
	cobra.CheckErr(errors.Join(
		cmd.MarkFlagFilename("image", "img"),
		cmd.MarkFlagFilename("output", "img", "iso"),
	))
	return cmd
}
