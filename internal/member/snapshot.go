package member

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"banyan/internal/command"
	"banyan/internal/dcs"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/seeds"
)

// snapshotDir is where a member of etcd keeps its snapshots. They are root's alone: they
// hold all that etcd does.
const snapshotDir = facts.StateDir + "/etcd-snapshots"

// A snapshot's name is when it was taken, in UTC, so that the order of names is that of
// time. One that is not whole yet is in a directory of its own beside it.
const (
	snapshotTime = "20060102T150405Z"
	unfinished   = ".unfinished-"
)

var snapshotName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z\.db$`)

// quorumTime is how long a member is waited for, such as by a snapshot after a boot that
// makes good for a night in which the node was off.
const quorumTime = 10 * time.Minute

// Snapshot has the member of etcd of self, a node of s, take a snapshot, and keeps that
// and the newest others, keep of them in all. Only a member with a vote takes one, and only
// where there is a quorum: etcd would give out what it has in any case, and what a
// member had when it was cut off would, night after night, take the place of what
// was kept.
//
// What a full disk or the end of this process leaves of one is removed, at the latest
// by the next; older ones are removed after it is whole and on the disk.
func Snapshot(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts, keep int, say func(string)) error {
	if !s.IsEtcdMember(self) {
		return noMember(s, self)
	}
	if keep < 1 {
		return errors.New("no snapshot is kept here: see etcd.snapshots in the seed")
	}
	if err := awaitQuorum(ctx, s, self, say); err != nil {
		return err
	}
	if err := os.MkdirAll(snapshotDir, 0o700); err != nil {
		return err
	}
	if err := removeUnfinished(snapshotDir); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(snapshotDir, unfinished)
	if err != nil {
		return err
	}
	made := time.Now().UTC().Format(snapshotTime) + ".db"
	about, err := takeSnapshot(ctx, s, self, f, filepath.Join(dir, made))
	if err == nil {
		err = durable.Rename(filepath.Join(dir, made), filepath.Join(snapshotDir, made))
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	say(fmt.Sprintf("%s is a snapshot of etcd, %s", filepath.Join(snapshotDir, made), about))
	names, err := snapshotNames(snapshotDir)
	if err != nil {
		return err
	}
	for _, name := range expired(names, made, keep) {
		if err := durable.Remove(filepath.Join(snapshotDir, name)); err != nil {
			return err
		}
		say("removed " + name)
	}
	return nil
}

// noMember says where to go instead.
func noMember(s seeds.Seed, self seeds.Node) error {
	var names []string
	for _, n := range node.EtcdMembers(s) {
		names = append(names, n.Name)
	}
	if len(names) == 0 {
		return errors.New("this cluster runs no etcd of its own")
	}
	return fmt.Errorf("%s runs no member of etcd; the members are %s", self.Name, seeds.Words(names))
}

// awaitQuorum waits until the node's own member answers what takes a quorum.
func awaitQuorum(ctx context.Context, s seeds.Seed, self seeds.Node, say func(string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, quorumTime, fmt.Errorf("etcd has had no quorum for %v", quorumTime))
	defer cancel()
	own, err := dcs.Connect(s, self, node.EtcdClientURL(self))
	if err != nil {
		return err
	}
	defer own.Close()
	return poll(ctx, say, func() (bool, string, error) {
		if err := own.Healthy(ctx); err != nil {
			return false, fmt.Sprintf("waits for etcd at %s: %v", node.EtcdClientURL(self), err), nil
		}
		return true, "", nil
	})
}

// removeUnfinished removes what those left that were killed.
func removeUnfinished(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, unfinished+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// takeSnapshot takes one, checks it and puts it on the disk.
func takeSnapshot(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts, path string) (snapshot, error) {
	_, err := command.Command{
		Name: "etcdctl", Args: []string{"snapshot", "save", path},
		Env: append(node.EtcdctlEnvironment(s, self, f), "ETCDCTL_ENDPOINTS="+node.EtcdClientURL(self)), // the last one counts
	}.Run(ctx)
	if err != nil {
		return snapshot{}, err
	}
	about, err := readSnapshot(ctx, f, path)
	if err == nil && !about.summed {
		err = fmt.Errorf("%s has no checksum, which etcd ends a snapshot with", path)
	}
	if err != nil {
		return snapshot{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return snapshot{}, err
	}
	return about, errors.Join(file.Sync(), file.Close())
}

// snapshotNames are those of a directory, the oldest first.
func snapshotNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorts by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && snapshotName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// expired are those of the snapshots that are to go, so that keep of them stay: the
// one that was just made, whatever the clock said before, and the newest others.
func expired(names []string, made string, keep int) []string {
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == made })
	slices.Sort(others)
	return others[:max(0, len(others)-(keep-1))]
}

// snapshot is what a file has of etcd.
type snapshot struct {
	Revision int64 `json:"revision"`
	Keys     int   `json:"totalKey"`

	summed bool // it ends with its checksum, as one that etcd gave out; a member's own database does not
}

func (s snapshot) String() string { return fmt.Sprintf("revision %d with %d keys", s.Revision, s.Keys) }

// readSnapshot checks a snapshot by its checksum and by etcd's own program, which
// does not look at that and reads all keys instead.
func readSnapshot(ctx context.Context, f facts.Facts, path string) (s snapshot, err error) {
	if s.summed, err = checkSum(path); err != nil {
		return s, err
	}
	out, err := command.Command{
		Name: node.SnapshotProgram(f), Args: []string{"snapshot", "status", "--write-out=json", path}, Env: []string{"ETCDCTL_API=3"},
	}.Run(ctx)
	if err != nil {
		return s, fmt.Errorf("%s is no snapshot of etcd: %w", path, err)
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("%s: what etcd says of it: %w", path, err)
	}
	return s, nil
}

// checkSum compares a snapshot with the SHA-256 that it ends with. It has one where its
// length says so: what is before it are whole pages.
// https://github.com/etcd-io/etcd/blob/main/etcdutl/snapshot/v3_snapshot.go, hasChecksum
func checkSum(path string) (summed bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close() // nothing was written
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if info.Size()%512 != sha256.Size {
		return false, nil
	}
	sum := sha256.New()
	if _, err := io.CopyN(sum, file, info.Size()-sha256.Size); err != nil {
		return false, err
	}
	want, err := io.ReadAll(file)
	if err != nil {
		return false, err
	}
	if !slices.Equal(sum.Sum(nil), want) {
		return false, fmt.Errorf("%s is damaged: it has another checksum than the one at its end", path)
	}
	return true, nil
}
