package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/namespace"
	"banyan/internal/progress"
	"banyan/rootfs"
)

// defaultCache is where root and where anybody else keeps a cache: file-hierarchy(7).
func defaultCache() string {
	const name = "banyan"
	if root, err := namespace.IsRoot(); err == nil && root {
		return filepath.Join("/var/cache", name)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "" // the builder says that there is none
	}
	return filepath.Join(dir, name)
}

func cacheCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "List and clear what building keeps",
		Long: `Building keeps base trees, which are made of the distribution's packages alone,
the packages and the archives' lists. A base tree is used again for as long as
its profile and the archives' Release files say the same.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&dir, "cache", defaultCache(), "the `directory` of the cache")
	cobra.CheckErr(cmd.MarkPersistentFlagDirname("cache"))

	with := func(cmd *cobra.Command, do func(*rootfs.Cache) error) error {
		if err := namespace.Enter(cmd.Context()); err != nil {
			return err
		}
		cache, err := rootfs.OpenCache(cmd.Context(), dir, func() { fmt.Fprintf(os.Stderr, "waiting for a build that uses %s\n", dir) })
		if err != nil {
			return err
		}
		defer cache.Close()
		return do(cache)
	}

	var asJSON bool
	list := &cobra.Command{
		Use:               "list",
		Short:             "List what is in the cache, what was used last first",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(cache *rootfs.Cache) error {
				entries, err := cache.List()
				if err != nil {
					return err
				}
				if asJSON {
					return cli.JSON(entries)
				}
				return printEntries(entries)
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON")

	clear := &cobra.Command{
		Use:               "clear",
		Short:             "Empty the cache",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(cache *rootfs.Cache) error {
				freed, err := cache.Clear()
				if err != nil {
					return err
				}
				fmt.Printf("freed %s in %s\n", progress.Bytes(freed), dir)
				return nil
			})
		},
	}
	cmd.AddCommand(list, clear)
	return cmd
}

func printEntries(entries []rootfs.Entry) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tNAME\tSIZE\tLAST USED")
	var total int64
	for _, e := range entries {
		total += e.Bytes
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Kind, e.Name, progress.Bytes(e.Bytes), e.Used.Format(time.DateTime))
	}
	fmt.Fprintf(w, "\ttotal\t%s\t\n", progress.Bytes(total))
	return w.Flush()
}
