package verify

import "banyan/internal/check"

// Databases is what the cluster has of the seed's roles and databases, as this node sees it.
type Databases struct {
	Made bool
	Err  error // it is not known
}

// checkDatabases: the leader makes them, and each run of it tries again what could not be made.
func checkDatabases(f Facts) []check.Check {
	const name = "roles and databases"
	switch {
	case f.Databases == nil:
		return nil
	case f.Self.Patroni.StandbyCluster.Follows():
		return check.Skipped(name, "those of a standby cluster are its primary's")
	case f.Databases.Err != nil:
		return check.Skipped(name, "not known: %v", f.Databases.Err)
	}
	v := check.Begin(name)
	if !f.Databases.Made {
		v.Warn("on the leader: journalctl -b -u banyan-firstboot; once mended: systemctl restart banyan-firstboot", "the leader has not made all that the seed has")
	}
	return v.End("all that the seed has, or a later one, was made")
}
