package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"banyan/internal/flow"
	"banyan/internal/member"
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
			if err := needRoot(changes); err != nil {
				return err
			}
			return flow.Snapshot(cmd.Context(), keep)
		},
	}
	cmd.Flags().IntVar(&keep, "keep", 0, "how many snapshots are kept, this one among them")
	return cmd
}

func restoreEtcdCommand() *cobra.Command {
	var r member.Restoration
	var join bool
	cmd := &cobra.Command{
		Use:   "restore-etcd [SNAPSHOT]",
		Short: "Make a new etcd from a snapshot, after the loss of all data",
		Long: `Make a new etcd, of this node alone, after the loss of all data of etcd; or, with
--join, have this node join one that was made on another, by this command or by
firstboot bootstrap.

Without a SNAPSHOT it is made from the newest that this node has, in
/var/lib/banyan/etcd-snapshots. Data of etcd that is there is moved aside.
PostgreSQL's data is not touched.

What is there of etcd on any node is newer: to go on with that, see firstboot
bootstrap.

On the other nodes nothing is to be done where etcd's data is gone: they join by
themselves. Where they have that of the old etcd, run firstboot restore-etcd
--join there.

It is refused while etcd has a quorum, also with --force; without it, while a node
does not answer or another one has data of etcd; and, unless a SNAPSHOT is named,
where this node has such data.`,
		Example: `  firstboot restore-etcd
  firstboot restore-etcd /root/20261126T030512Z.db
  firstboot restore-etcd --join`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: firstIsFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if join && (len(args) > 0 || r.Force) {
				return errors.New("--join takes what the restored etcd has: name no snapshot with it, and no --force")
			}
			if err := needRoot(changes); err != nil {
				return err
			}
			if join {
				return flow.JoinRestoredEtcd(cmd.Context())
			}
			r.Snapshot = strings.Join(args, "")
			return flow.RestoreEtcd(cmd.Context(), r)
		},
	}
	cmd.Flags().BoolVar(&r.Force, "force", false, "restore, whatever other nodes hold or do not answer")
	cmd.Flags().BoolVar(&join, "join", false, "join the etcd that was restored on another node")
	return cmd
}
