package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	_ "time/tzdata" // for a machine that has no time zones itself

	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/facts"
	"banyan/internal/strict"
	"banyan/rootfs"
	"banyan/seeds"
)

func seedCheckCommand() *cobra.Command {
	var o seedCheck
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Say all that is wrong with seeds, and show what they make",
		Long: `Say all that is wrong with cluster files and seeds, each problem with its line and
column, and show the cluster that they make. What is allowed and seldom meant is a
warning; what this release does not apply yet is a note.

What a seed asks for is compared with what the images of --profile hold. With --node
the files and units of that node are shown, as they are when it is planted; with
--diff what differs from another seed, in effect on each node; with both how the
node's files differ. Secrets are masked everywhere.

The exit code is 1 where there is a problem; a difference is none.`,
		Example: `  build seed check cluster.yaml --profile all
  build seed check cluster.yaml --node pgsql-n1
  build seed check cluster.yaml --diff cluster.yaml.old --node pgsql-n1`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&o.profiles, "profile", []string{defaultProfile}, "what the images are made of, a name or a `file`; may be repeated; all: every built-in one")
	flags.StringVar(&o.node, "node", "", "show what the `node` of that name renders")
	flags.StringVar(&o.diff, "diff", "", "show what differs from the seed in another `file`")
	flags.StringVar(&o.output, "output", "", "with --node, write its files below a new `directory`")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	cobra.CheckErr(errors.Join(
		cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(append(rootfs.ProfileNames(), allProfiles), cobra.ShellCompDirectiveDefault)),
		cmd.RegisterFlagCompletionFunc("node", completeNode),
		cmd.MarkFlagFilename("diff", "yaml", "yml"),
		cmd.MarkFlagDirname("output"),
	))
	return cmd
}

const allProfiles = "all"

// completeNode offers the nodes of the file that was named.
func completeNode(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, file := range args {
		if data, err := seeds.ReadFile(file); err == nil {
			if s, _, err := seeds.ParseCluster(file, data); err == nil {
				names = append(names, s.Names()...)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// seedCheck is what `build seed check` is asked for.
type seedCheck struct {
	profiles           []string
	node, diff, output string
	json               bool
}

// checked is a seed and what is to be said of it.
type checked struct {
	File     string          `json:"file"`
	Problems []problem       `json:"problems,omitempty"`
	Warnings []problem       `json:"warnings,omitempty"`
	Notes    []string        `json:"notes,omitempty"`
	Cluster  *seeds.Overview `json:"cluster,omitempty"`

	seed               *seeds.Seed
	problems, warnings strict.Problems
}

// problem is a [strict.Problem] for a program.
type problem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func (o seedCheck) run(ctx context.Context, files []string) error {
	single := o.node != "" || o.diff != ""
	switch {
	case single && len(files) > 1:
		return errors.New("--node and --diff are for one file")
	case o.output != "" && (o.node == "" || o.diff != ""):
		return errors.New("--output is for --node alone")
	}
	profiles, err := loadProfiles(o.profiles)
	if err != nil {
		return err
	}
	if o.node != "" && len(profiles) > 1 {
		return errors.New("--node renders for one profile: name it by --profile")
	}
	var all []checked
	wrong := 0
	if o.diff != "" {
		files = append(files, o.diff)
	}
	for _, file := range files {
		c, err := check(file, profiles)
		if err != nil {
			return err
		}
		if c.problems != nil {
			wrong++
		}
		all = append(all, c)
	}
	if !o.json || single {
		for _, c := range all {
			c.say()
		}
	}
	switch {
	case wrong > 0 && single:
	case o.diff != "":
		return o.printDiff(ctx, all[1], all[0], profiles[0])
	case o.node != "":
		return o.printNode(all[0], profiles[0])
	case o.json:
		if err := cli.JSON(all); err != nil {
			return err
		}
	default:
		for i, c := range all {
			if c.Cluster == nil {
				continue
			}
			if i > 0 {
				fmt.Println()
			}
			fmt.Printf("%s: %s", c.File, c.Cluster)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d seeds cannot be used", wrong, len(files))
	}
	return nil
}

func loadProfiles(names []string) ([]*rootfs.Profile, error) {
	if slices.Contains(names, allProfiles) {
		names = rootfs.ProfileNames()
	}
	var profiles []*rootfs.Profile
	for _, name := range names {
		p, err := loadProfile(name)
		if err != nil {
			return nil, err
		}
		profiles = append(profiles, p)
	}
	return profiles, nil
}

// check reads a seed for images of these profiles. What is wrong with the seed is no
// error.
func check(file string, profiles []*rootfs.Profile) (checked, error) {
	c := checked{File: file}
	data, err := seeds.ReadFile(file)
	if err != nil {
		return c, err
	}
	var images []seeds.Image
	for _, p := range profiles {
		images = append(images, imageOf(p))
	}
	c.seed, c.warnings, err = seeds.ParseCluster(file, data, images...)
	if err != nil && !errors.As(err, &c.problems) {
		return c, err
	}
	c.Problems, c.Warnings = forPrograms(c.problems), forPrograms(c.warnings)
	if c.seed != nil {
		overview := c.seed.Overview()
		c.Cluster = &overview
		if _, err := seeds.Parse(file, data); err != nil {
			c.Notes = append(c.Notes, "no machine takes it yet: build seed mint makes the secrets that are missing")
		}
	}
	return c, nil
}

func imageOf(p *rootfs.Profile) seeds.Image {
	i := p.Installed()
	return seeds.Image{Name: p.Name, PostgreSQL: i.PostgreSQL, Patroni: seeds.PatroniVersion(i.Patroni), Locales: p.Locales}
}

// machineOf is what is known of a machine with an image of that profile.
func machineOf(p *rootfs.Profile) facts.Facts {
	return facts.Facts{Installed: p.Installed(), Locales: p.Locales}
}

func forPrograms(problems strict.Problems) []problem {
	var all []problem
	for _, p := range problems {
		all = append(all, problem{p.Line, p.Column, p.Message})
	}
	return all
}

// say tells a person what is wrong, and what to know.
func (c checked) say() {
	for _, p := range c.problems {
		fmt.Fprintln(os.Stderr, p)
	}
	for _, w := range c.warnings {
		warn(w)
	}
	for _, n := range c.Notes {
		fmt.Fprintf(os.Stderr, "note: %s: %s\n", c.File, n)
	}
}
