package main

import (
	"github.com/spf13/cobra"

	"banyan/internal/flow"
)

func leaveCommand() *cobra.Command {
	var undo bool
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Take this node out of its cluster for good",
		Long: `Take this node out of its cluster for good.

Patroni is stopped, so that another node leads; the other members of etcd go on
without this one; HAProxy is stopped. No boot starts its services again. What it
holds stays where it is. Take the node out of the cluster file as well, mint, and
give the others the new seed: they then stop expecting it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(changes); err != nil {
				return err
			}
			if undo {
				return flow.Return(cmd.Context())
			}
			return flow.Leave(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "have it join again")
	return cmd
}

func bootstrapCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "bootstrap",
		Short: "Begin the cluster with this node, without the answers of others",
		Long: `Begin the cluster with this node, without the answers of others.

A cluster is born when all of its nodes have answered that they never held data,
and one that has lost its quorum waits for it. Where nodes are gone that will not
come back, this has the node go on alone with what it holds: with its etcd, or an
empty one where it has none, and with its PostgreSQL, or a new one where nobody
has any. The others join it then. It is refused where a node that answers holds
more. With raft no member goes on alone: once all have lost the log, order it on
each.

It returns once the node is at it; see firstboot status --wait.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(changes); err != nil {
				return err
			}
			return flow.Bootstrap(cmd.Context())
		},
	}
}
