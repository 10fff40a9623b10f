package main

import (
	"github.com/spf13/cobra"

	"banyan/internal/cli"
	"banyan/internal/flow"
)

func statusCommand() *cobra.Command {
	var wait, asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what this boot made of the node and how its services are now",
		Long: `Say what this boot made of the node and how its services are now.

Exit status: 0 the node is done, 1 it failed, 2 it is going on or degraded.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := flow.Status(cmd.Context(), wait)
			if err != nil {
				return err
			}
			return cli.Print(s, asJSON)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the node is done or has failed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
