package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"banyan/internal/check"
	"banyan/internal/cli"
	"banyan/internal/dnscp"
	"banyan/internal/dnscp/config"
)

// checkTime bounds the looking and the asking.
const checkTime = 30 * time.Second

func checkCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check whether this host's connection point is sound",
		Long: `Check whether the guard of this host, its addresses and its record are sound, say
what to do where they are not, and show how the hold-down comes about: for how
long an address may stay after Patroni's last good answer.

It changes nothing. Exit status: 0 nothing is wrong, 1 there are warnings alone,
2 a check has failed, or none could be made.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return failed(err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), checkTime, fmt.Errorf("not done after %v", checkTime))
			defer cancel()
			c, err := config.Read(path)
			if err != nil {
				return failed(err)
			}
			r, err := dnscp.Check(ctx, c)
			if err != nil {
				return failed(err)
			}
			return cli.Print(r, asJSON)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return failed(err) })
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// failed is an error with the exit status of a check that has failed.
func failed(err error) error { return cli.Exit{Code: check.ExitFailed, Err: err} }
