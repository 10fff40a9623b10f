package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"banyan/internal/version"
	"banyan/packaging"
	"banyan/rootfs"
)

func packagesCommand() *cobra.Command {
	var own programs
	var output string
	cmd := &cobra.Command{
		Use:   "packages",
		Short: "Make the Debian packages that an image has of Banyan itself",
		Long: `Make the Debian packages that an image has of Banyan itself, and print the names
of their files: banyan-firstboot, and banyan-dnscp for any host of Patroni.

They are for Debian 11 and later.`,
		Example:           `  build packages --output dist/`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			date, err := rootfs.SourceDate()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(output, 0o755); err != nil {
				return err
			}
			o := packaging.Options{Version: version.Version, Date: date, Output: output}
			o.Firstboot, o.DNSCP = own.paths()
			debs, err := packaging.Make(o)
			for _, deb := range debs {
				fmt.Println(deb)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&output, "output", "dist", "the `directory` that they go to")
	own.flags(cmd)
	cobra.CheckErr(cmd.MarkFlagDirname("output"))
	return cmd
}

// programs are those that packages are made of, as flags name them.
type programs struct{ firstboot, dnscp string }

func (p *programs) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&p.firstboot, "firstboot", "", "the node's `program` (default firstboot beside this one)")
	flags.StringVar(&p.dnscp, "dnscp", "", "the `program` of its connection point (default dnscp beside this one)")
}

// paths are where they are.
func (p programs) paths() (firstboot, dnscp string) {
	return cmp.Or(p.firstboot, beside("firstboot")), cmp.Or(p.dnscp, beside("dnscp"))
}

// beside is the path of the program of that name beside this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}
