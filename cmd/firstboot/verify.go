package main

import (
	"github.com/spf13/cobra"

	"banyan/internal/check"
	"banyan/internal/cli"
	"banyan/internal/flow"
)

func verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check whether the node and its cluster are sound",
		Long: `Check whether the node and its cluster are sound, and say what to do where they are
not: certificates, the DCS, Patroni's members, HAProxy, firewall, clock, memory,
disks, and whether the node is still what its seed says.

It runs on every node, asks the others by their APIs alone, and changes nothing.
A check that cannot be made here, such as that of a watchdog in a container, is
skipped, and does not count.

Exit status: 0 nothing is wrong, 1 there are warnings alone, 2 a check has failed,
or none could be made.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot("the node's keys and sockets are for root alone, and firstboot status is for everybody"); err != nil {
				return cli.Exit{Code: check.ExitFailed, Err: err}
			}
			r, err := flow.Verify(cmd.Context())
			if err != nil {
				return cli.Exit{Code: check.ExitFailed, Err: err}
			}
			return cli.Print(r, asJSON)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return cli.Exit{Code: check.ExitFailed, Err: err} })
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
