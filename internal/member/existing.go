package member

import (
	"context"
	"fmt"
	"path"
	"path/filepath"

	"banyan/internal/converge"
	"banyan/internal/database"
	"banyan/internal/durable"
	"banyan/internal/peer"
	"banyan/seeds"
)

// refuseExisting says why the cluster does not begin with the data that its seed says is
// there, and what to do.
func refuseExisting(f findings, dataDir string) error {
	switch {
	case f.replica:
		return fmt.Errorf("postgresql.existing: %s holds the data of a replica, or of a recovery that has not ended: "+
			"promote it first, or take postgresql.existing out of the seed to begin with any node's data", dataDir)
	case f.own == peer.Begun:
		return fmt.Errorf("postgresql.existing: %s holds what a birth left that was interrupted: put the data there, "+
			"or take postgresql.existing out of the seed to begin anew", dataDir)
	default:
		return fmt.Errorf("postgresql.existing: %s holds no data to begin with: put it there, "+
			"or take postgresql.existing out of the seed to begin with an empty cluster", dataDir)
	}
}

// debianServer is the unit of a server of Debian's pg_ctlcluster(1).
const debianServer = "postgresql@*.service"

// baseConfig is what Patroni includes in the postgresql.conf that it writes, and without
// which it does not start: Debian keeps that of its clusters in /etc/postgresql.
const baseConfig = "# Written by Banyan, as this data directory had no postgresql.conf. Patroni includes it before its own settings.\n"

// prepareExisting makes data that was there before Patroni fit for it. roles tells whether it is to get
// the roles that Patroni makes in a cluster of its own.
func (j *joining) prepareExisting(ctx context.Context, dir dataDir, roles bool, say func(string)) error {
	server, serves, err := database.Serving(dir.data)
	if err != nil {
		return err
	}
	if serves {
		unit, err := j.units.GetUnitNameByPID(ctx, uint32(server.PID))
		if err != nil {
			return fmt.Errorf("ask systemd for the unit of process %d: %w", server.PID, err)
		}
		if ours, _ := path.Match(debianServer, unit); ours {
			say("stopping " + unit + ", which Patroni runs from now on")
			if err := j.units.stop(ctx, unit); err != nil {
				return err
			}
		}
	}
	if roles {
		if err := refuseIfServed(dir.data); err != nil {
			return err
		}
		control, err := dir.control(ctx)
		if err != nil {
			return err
		}
		a := database.Adoption{
			DataDir: dir.data, Version: dir.version, UID: j.facts.Accounts[seeds.SuperuserRole], Secrets: j.seed.Secrets,
			State: control.state, PreparedTransactions: control.preparedTransactions,
		}
		if err := a.Run(ctx, say); err != nil {
			return err
		}
	}
	return makeBaseConfig(ctx, dir.data, say)
}

// makeBaseConfig makes what of the configuration Patroni expects in a data directory and
// is not there.
func makeBaseConfig(ctx context.Context, dataDir string, say func(string)) error {
	for _, file := range []struct{ name, or, content string }{
		{"postgresql.conf", "postgresql.base.conf", baseConfig},
		{"pg_ident.conf", "pg_ident.conf", ""},
	} {
		missing := true
		for _, name := range []string{file.name, file.or} {
			there, err := durable.Exists(filepath.Join(dataDir, name))
			if err != nil {
				return err
			}
			missing = missing && !there
		}
		if !missing {
			continue
		}
		if err := makeHere(ctx, converge.File{Path: filepath.Join(dataDir, file.name), Mode: 0o600, Owner: seeds.SuperuserRole, Content: file.content}); err != nil {
			return err
		}
		say("made " + filepath.Join(dataDir, file.name) + ", which was not there")
	}
	return nil
}
