package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/peer"
	"banyan/seeds"
)

// Holdings is what self, a node of s, answers its peers.
func Holdings(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts) (peer.Answer, error) {
	a := peer.Answer{Node: self.Name, Cluster: s.Cluster.Name, ClusterID: s.Cluster.ID, Generation: s.Cluster.Generation}
	var err error
	if s.IsEtcdMember(self) {
		if a.Etcd, err = etcdHolding(s, self, f); err != nil {
			return a, err
		}
	}
	if s.IsRaftMember(self) {
		if a.Raft, err = raftHolding(s, self, f); err != nil {
			return a, err
		}
	}
	if self.Runs(seeds.ServicePostgreSQL) {
		var dir dataDir
		var c control
		if dir, err = postgresqlDir(self, f); err == nil {
			a.PostgreSQL, c, err = dir.holding(ctx, s, self, f)
		}
		if a.PostgreSQL == peer.Data {
			a.Progress = c.Progress
			if f.Born {
				a.SystemID = c.systemID
			}
		}
	}
	return a, err
}

// others are the nodes but self.
func others(nodes []seeds.Node, self seeds.Node) []seeds.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n seeds.Node) bool { return n.Name == self.Name })
}

// otherHolders are those of them that hold a part of the cluster's state.
func otherHolders(s seeds.Seed, self seeds.Node) []seeds.Node {
	return slices.DeleteFunc(others(s.Nodes, self), func(n seeds.Node) bool { return !s.HoldsState(n) })
}

// etcdMember is where a member of etcd has its data, and its log, without which it has none.
var etcdMember, etcdWAL = filepath.Join(node.EtcdDataDir, "member"), filepath.Join(node.EtcdDataDir, "member/wal")

// etcdBirthMarker says that etcd was started for the first time and was never seen
// healthy: what it has written is of use only where the others count on it (decideEtcd).
const etcdBirthMarker = facts.StateDir + "/etcd-birth"

func etcdHolding(s seeds.Seed, self seeds.Node, f facts.Facts) (peer.Holding, error) {
	if err := mounted(s, self, f, node.EtcdDataDir); err != nil {
		return "", err
	}
	data, err := holdsData(etcdWAL)
	if err != nil {
		return "", err
	}
	begun, err := durable.Exists(etcdBirthMarker)
	return holding(data, begun, f.Born), err
}

// holding: a birth of ours that was interrupted says so; what else is there is data.
func holding(data, begun, born bool) peer.Holding {
	switch {
	case begun:
		return peer.Begun
	case data:
		return peer.Data
	case born:
		return peer.Lost
	default:
		return peer.Nothing
	}
}

// mounted is an error where a path belongs on a volume that is not mounted: what it holds
// is not known then.
func mounted(s seeds.Seed, self seeds.Node, f facts.Facts, path string) error {
	where := node.VolumeAt(s, self, f, path)
	if where == "" {
		return nil
	}
	var there, above unix.Stat_t
	if err := unix.Stat(where, &there); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err := unix.Stat(filepath.Dir(where), &above); err != nil {
		return fmt.Errorf("%s: %w", filepath.Dir(where), err)
	}
	if there.Dev == above.Dev {
		return fmt.Errorf("%s is not mounted, and what is on it is not known", where)
	}
	return nil
}

// dataDir is where PostgreSQL's data is, and the programs of its version.
type dataDir struct {
	version   int
	data, wal string
}

func postgresqlDir(self seeds.Node, f facts.Facts) (dataDir, error) {
	version, err := node.PostgreSQLVersion(self, f)
	return dataDir{version, node.DataDir(self, version), node.WALDir(self, version)}, err
}

// holding is what there is, and what the control file says of it, if it can be read.
func (d dataDir) holding(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts) (peer.Holding, control, error) {
	if err := mounted(s, self, f, d.data); err != nil {
		return "", control{}, err
	}
	data, err := holdsData(d.data)
	if err != nil {
		return "", control{}, err
	}
	begun, err := durable.Exists(birthMarker)
	copying, err2 := d.copying()
	if err := errors.Join(err, err2); err != nil {
		return "", control{}, err
	}
	h := holding(data, begun || copying, f.Born)
	c, err := d.control(ctx)
	if h != peer.Data { // half of it may be there
		return h, c, nil
	}
	// A copy that no server has come up with yet has the control file of the one it is of.
	for _, name := range []string{"backup_label", "recovery.signal", "standby.signal"} {
		there, err2 := durable.Exists(filepath.Join(d.data, name))
		c.Primary, err = c.Primary && !there, errors.Join(err, err2)
	}
	return h, c, err
}

// copying tells whether what is there is a copy of the leader's that did not come to its
// end, and not what somebody has restored in its place meanwhile.
func (d dataDir) copying() (bool, error) {
	marked, err := durable.Exists(facts.CopyMarker)
	if !marked || err != nil {
		return false, err
	}
	whole, err := isWhole(d.data)
	return !whole, err
}

// isWhole tells a data directory that can be started from a part of one: a copy of a server
// that runs has a backup_label until a server has come up with it, pg_basebackup(1) names
// its manifest once all is on the disk, and what restores a backup leaves a recovery.signal:
// https://www.postgresql.org/docs/current/continuous-archiving.html
func isWhole(dir string) (bool, error) {
	there := map[string]bool{}
	var errs []error
	for _, name := range []string{"global/pg_control", "backup_label", "backup_manifest", "recovery.signal"} {
		exists, err := durable.Exists(filepath.Join(dir, name))
		there[name] = exists
		errs = append(errs, err)
	}
	return there["global/pg_control"] && (!there["backup_label"] || there["backup_manifest"] || there["recovery.signal"]), errors.Join(errs...)
}

// control is what the control file says of a data directory.
type control struct {
	peer.Progress
	systemID             string
	state                string // such as "shut down", or "in production" of a server that crashed, if it does not run
	preparedTransactions string // max_prepared_transactions of the server that used it last
}

// control asks pg_controldata(1); without a control file it knows nothing.
func (d dataDir) control(ctx context.Context) (control, error) {
	if _, err := os.Stat(filepath.Join(d.data, "global/pg_control")); errors.Is(err, fs.ErrNotExist) {
		return control{}, nil
	}
	out, err := command.Command{
		Name: filepath.Join(facts.BinDir(d.version), "pg_controldata"), Args: []string{d.data}, Env: []string{"LC_ALL=C"},
	}.Run(ctx)
	if err != nil {
		return control{}, err
	}
	return parseControl(out)
}

// parseControl reads what pg_controldata prints, as in
// https://github.com/postgres/postgres/blob/master/src/bin/pg_controldata/pg_controldata.c
func parseControl(text string) (control, error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		values[key] = strings.TrimSpace(value)
	}
	c := control{
		systemID: values["Database system identifier"], state: values["Database cluster state"],
		preparedTransactions: values["max_prepared_xacts setting"],
	}
	timeline, err := strconv.ParseUint(values["Latest checkpoint's TimeLineID"], 10, 32)
	if err != nil {
		return control{}, fmt.Errorf("pg_controldata tells no timeline: %w", err)
	}
	end, err := parseLSN(values["Minimum recovery ending location"])
	checkpoint, err2 := parseLSN(values["Latest checkpoint location"])
	if err := errors.Join(err, err2); err != nil {
		return control{}, err
	}
	ending, err := strconv.ParseUint(values["Min recovery ending loc's timeline"], 10, 32)
	if err != nil {
		return control{}, fmt.Errorf("pg_controldata tells no timeline of recovery: %w", err)
	}
	c.Timeline = uint32(max(timeline, ending))
	c.LSN = max(end, checkpoint)
	c.Primary = c.state != "in archive recovery" && c.state != "shut down in recovery"
	return c, nil
}

// parseLSN reads a place in the WAL, two hexadecimal numbers of 32 bits:
// https://www.postgresql.org/docs/current/datatype-pg-lsn.html
func parseLSN(text string) (uint64, error) {
	high, low, ok := strings.Cut(text, "/")
	h, err := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	if !ok || err != nil || err2 != nil {
		return 0, fmt.Errorf("pg_controldata: %q is no place in the WAL", text)
	}
	return h<<32 | l, nil
}
