package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/strict"
	"banyan/rootfs"
)

// defaultProfile is the one that is meant where none is named.
const defaultProfile = "debian-13"

func profileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "List, show and check profiles",
		Long: `A profile says what an image is made of: the distribution's suite and archives,
packages, users whose ids are pinned, units and partitions. A profile in a file
of your own may inherit a built-in one:

  inherits: debian-13
  packages:
    ours: [postgresql-17-postgis-3]
  partitions: {root: 2048}

Keys are merged with the inherited ones, lists replace them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(profileListCommand(), profileShowCommand(), profileCheckCommand())
	return cmd
}

// loadProfile loads a profile and says in one line what is wrong with it.
func loadProfile(name string) (*rootfs.Profile, error) {
	p, err := rootfs.LoadProfile(name)
	var problems strict.Problems
	if errors.As(err, &problems) {
		first, more := problems[0], ""
		if n := len(problems) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more: build profile check %s)", n, name)
		}
		return nil, fmt.Errorf("%s:%d:%d: %s%s", first.File, first.Line, first.Column, first.Message, more)
	}
	return p, err
}

func profileListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "list",
		Short:             "List the built-in profiles",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			type line struct {
				Name        string `json:"name"`
				Suite       string `json:"suite"`
				Description string `json:"description"`
			}
			var lines []line
			for _, name := range rootfs.ProfileNames() {
				p, err := rootfs.LoadProfile(name)
				if err != nil {
					return err
				}
				lines = append(lines, line{p.Name, p.Suite, p.Description})
			}
			if asJSON {
				return cli.JSON(lines)
			}
			w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			for _, l := range lines {
				fmt.Fprintf(w, "%s\t%s\n", l.Name, l.Description)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func profileShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show PROFILE",
		Short:             "Print a profile with all that it inherits",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(rootfs.ProfileNames(), cobra.ShellCompDirectiveDefault),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := loadProfile(args[0])
			if err != nil {
				return err
			}
			content, err := p.YAML()
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(content)
			return err
		},
	}
}

func profileCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check PROFILE...",
		Short: "Say all that is wrong with profiles",
		Long: `Say all that is wrong with profiles, each problem with its line and column. The
exit code is 1 where there is any.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(rootfs.ProfileNames(), cobra.ShellCompDirectiveDefault),
		RunE: func(_ *cobra.Command, args []string) error {
			wrong := 0
			for _, name := range args {
				if _, err := rootfs.LoadProfile(name); err != nil {
					fmt.Fprintln(os.Stderr, err)
					wrong++
				}
			}
			if wrong > 0 {
				return fmt.Errorf("%d of %d profiles cannot be used", wrong, len(args))
			}
			return nil
		},
	}
}
