// Command build makes Banyan's disk images, and the seeds for them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/media"
	"banyan/internal/version"
)

func main() { os.Exit(run()) }

// run returns the exit code: 0 done, 1 failed, 130 interrupted.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer stop()

	switch err := rootCommand().ExecuteContext(ctx); {
	case errors.Is(err, media.ErrUnfinished):
		fmt.Fprintln(os.Stderr, "build: interrupted;", media.ErrUnfinished)
		return 130
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "build: interrupted; nothing was left behind")
		return 130
	default:
		return cli.Status("build", err)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "build",
		Short:         "Make Banyan's disk images, and the seeds for them",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(imageCommand(), packagesCommand(), profileCommand(), cacheCommand(), seedCommand())
	return root
}

// warn says to a person what is allowed and seldom meant.
func warn(w any) { fmt.Fprintln(os.Stderr, "warning:", w) }

// absent fails where there is a file of that name, which is not to be replaced.
func absent(name string) error {
	_, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s is there already: name another by --output", name)
}
