package main

import (
	"github.com/spf13/cobra"

	"banyan/internal/flow"
)

// etcdSnapshotCommand is what banyan-etcd-snapshot.service runs.
func etcdSnapshotCommand() *cobra.Command {
	var keep int
	cmd := &cobra.Command{
		Use:    "etcd-snapshot",
		Short:  "Take a snapshot of this node's etcd (run by systemd)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			return flow.Snapshot(cmd.Context(), keep)
		},
	}
	cmd.Flags().IntVar(&keep, "keep", 0, "how many snapshots are kept, this one among them")
	return cmd
}
