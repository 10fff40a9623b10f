package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/google/uuid"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

// volume is a disk that holds something of the node's own.
type volume struct {
	name  string
	where string // it is mounted
	owner string // of what is on it; "" is nobody's to say
	spec  seeds.StorageVolume
	disk  facts.Disk // that matches
	wrong string     // why none does, or several
}

// step is the name of the step that mounts the volume.
func (v volume) step() string { return "volume " + v.name }

// volumesOf are those of a node, ordered so that one which is mounted below another
// comes after it.
func volumesOf(s seeds.Seed, self seeds.Node, f facts.Facts) []volume {
	var all []volume
	for _, name := range slices.Sorted(maps.Keys(self.Storage.Volumes)) {
		v := volume{name: name, spec: self.Storage.Volumes[name]}
		switch name {
		case "data":
			v.where, v.owner = dataHome(self), "postgres"
		case "wal":
			v.where, v.owner = walHome(self), "postgres"
		case "log":
			v.where, v.owner = postgresqlLogs, "postgres"
		case "etcd":
			v.where, v.owner = filepath.Dir(EtcdDataDir), "etcd"
		default:
			v.where = v.spec.Path
			if strings.HasPrefix(v.where, postgresqlHome+"/") {
				v.owner = "postgres"
			}
		}
		if v.owner == "postgres" && !self.Runs(seeds.ServicePostgreSQL) || v.owner == "etcd" && !s.IsEtcdMember(self) {
			continue // whose disk it would be does not run here
		}
		before := f.Volumes[name]
		if v.disk, v.wrong = matchDisk(v.spec.Match, f.Disks, before); v.wrong != "" {
			v.disk = before // by which PostgreSQL is sized while the disk is away
		}
		all = append(all, v)
	}
	slices.SortStableFunc(all, func(a, b volume) int { return strings.Compare(a.where, b.where) })
	return all
}

// matchDisk is the one disk that fits, or why there is not one. Of several it is the one that
// the volume was on before.
func matchDisk(m seeds.DiskMatch, disks []facts.Disk, before facts.Disk) (found facts.Disk, wrong string) {
	var fits []facts.Disk
	var others []string
	for _, d := range disks {
		switch {
		case !d.Boot && fitsDisk(m, d):
			fits = append(fits, d)
		case d.Boot:
			others = append(others, d.String()+", which this machine was booted from")
		default:
			others = append(others, d.String())
		}
	}
	if i := slices.IndexFunc(fits, func(d facts.Disk) bool { return d.Same(before) }); i >= 0 {
		return fits[i], ""
	}
	switch len(fits) {
	case 1:
		return fits[0], ""
	case 0:
		if len(others) == 0 {
			return found, "this machine has no disks, or none that is known yet"
		}
		return found, "no disk fits; there are " + strings.Join(others, "; ")
	}
	var words []string
	for _, d := range fits {
		words = append(words, d.String())
	}
	return found, "several disks fit, so tell them apart by serial or by-id: " + strings.Join(words, "; ")
}

func fitsDisk(m seeds.DiskMatch, d facts.Disk) bool {
	model, err := path.Match(m.Model, d.Model)
	return d.Wrong == "" && (m.ByID == "" || slices.Contains(d.ByID, m.ByID)) &&
		(m.Serial == "" || m.Serial == d.Serial) &&
		(m.Model == "" || err == nil && model) &&
		(m.MinSize == 0 || d.Size >= int64(m.MinSize)) &&
		(m.MaxSize == 0 || d.Size <= int64(m.MaxSize)) &&
		(m.Class == "" || m.Class == seeds.DiskClassAny || m.Class == d.Class)
}

// storage makes a step of each volume: its file system, the place where it is mounted, and
// what is there to belong to whom. What lies on a volume needs its step.
func storage(s seeds.Seed, self seeds.Node, f facts.Facts, volumes []volume) []converge.Step {
	var steps []converge.Step
	for _, v := range volumes {
		id := volumeUUID(s, self, v.name)
		name := unit.UnitNamePathEscape(v.where) + ".mount"
		mount := unitFile(name, mountUnit(v, id, abilities(f).checksQuietly()))
		step := converge.Step{Name: v.step()}
		if above := onVolume(volumes, filepath.Dir(v.where)); above != nil {
			step.Needs = []string{above.step()}
		}
		step.Resources = []converge.Resource{
			converge.Filesystem{
				Volume: v.name, Disk: v.disk, Wrong: v.wrong, Type: string(v.spec.Filesystem), UUID: id,
				Label: v.spec.LabelOf(v.name), Adopt: v.spec.Label != "", Wipe: v.spec.Wipe,
			},
			mount,
			converge.MountPoint{Path: v.where, On: onVolumePath(volumes, filepath.Dir(v.where))},
			converge.Unit{Name: name, Enabled: true, Running: true, ReloadOn: []string{mount.Path}},
			converge.MountedFrom{Path: v.where, Device: "/dev/" + v.disk.Name},
		}
		if v.owner != "" { // else it belongs to whom its user has given it
			step.Resources = append(step.Resources, converge.Directory{Path: v.where, Mode: 0o755, Owner: v.owner, On: v.where})
		}
		steps = append(steps, step)
	}
	return steps
}

// mountUnit is a systemd.mount(5). Nothing waits for it but what needs it, so that a disk
// that is not there keeps nobody from logging in: it is no part of local-fs.target. What is
// half formatted is not mounted, and neither is what a power cut left just after: it is
// formatted again.
func mountUnit(v volume, id string, checked bool) string {
	source := "/dev/disk/by-uuid/" + id
	if v.spec.Label != "" {
		source = "/dev/disk/by-label/" + v.spec.Label
	}
	after := "local-fs-pre.target"
	if checked {
		fsck := "systemd-fsck@" + unit.UnitNamePathEscape(source) + ".service"
		after += " " + fsck + "\nRequires=" + fsck
	}
	return fmt.Sprintf(`[Unit]
Description=Volume %s
DefaultDependencies=no
Conflicts=umount.target
Before=umount.target
After=%s
RequiresMountsFor=%s
AssertPathExists=!%s

[Mount]
What=%s
Where=%s
Type=%s
Options=%s

[Install]
WantedBy=multi-user.target
`, v.name, after, facts.StateDir, converge.FormattingMark(v.name), source, v.where, v.spec.Filesystem, strings.Join(append([]string{"nodev", "nosuid"}, v.spec.Options...), ","))
}

// volumeUUID tells this node's volume from every other disk, and is the same whenever the
// node is made anew: by RFC 9562 a UUID of version 8, whose bits are our own.
func volumeUUID(s seeds.Seed, self seeds.Node, volume string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{"banyan volume", s.Cluster.Name, string(s.Cluster.ID), self.Name, volume}, "\x00")))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id.String()
}

// onVolume is the volume that a path lies on, or nil.
func onVolume(volumes []volume, path string) *volume {
	for i := range slices.Backward(volumes) { // the deepest first
		if v := &volumes[i]; path == v.where || strings.HasPrefix(path, v.where+"/") {
			return v
		}
	}
	return nil
}

// onVolumePath is where the volume is mounted that a path lies on, or "".
func onVolumePath(volumes []volume, path string) string {
	if v := onVolume(volumes, path); v != nil {
		return v.where
	}
	return ""
}

// needs are the steps of the volumes that these paths lie on.
func needs(volumes []volume, paths ...string) []string {
	var steps []string
	for _, path := range paths {
		if v := onVolume(volumes, path); v != nil && !slices.Contains(steps, v.step()) {
			steps = append(steps, v.step())
		}
	}
	return steps
}

// requiresMounts has a unit start, and stop, with the volumes that these paths lie on.
func requiresMounts(volumes []volume, paths ...string) string {
	var on []string
	for _, path := range paths {
		if onVolume(volumes, path) != nil {
			on = append(on, path)
		}
	}
	if len(on) == 0 {
		return ""
	}
	return "RequiresMountsFor=" + strings.Join(on, " ") + "\n"
}

// dataHome is where the volume data is mounted: not at the data directory itself, which
// initdb wants to make, and which the next major version has a sibling of.
func dataHome(self seeds.Node) string {
	if dir := self.PostgreSQL.DataDir; dir != "" && !strings.HasPrefix(dir, postgresqlHome+"/") {
		return filepath.Dir(dir)
	}
	return postgresqlHome
}

// walHome is where the volume wal is mounted, for the same reason above the directory.
func walHome(self seeds.Node) string {
	if dir := self.PostgreSQL.WALDir; dir != "" {
		return filepath.Dir(dir)
	}
	return "/var/lib/postgresql-wal"
}

// checkStorage refuses volumes whose disk is not there, before anything is made.
func checkStorage(volumes []volume, f facts.Facts) error {
	var errs []error
	for _, v := range volumes {
		if v.wrong != "" {
			errs = append(errs, fmt.Errorf("storage.volumes.%s.match: %s", v.name, v.wrong))
		}
		if f.ReadOnly && !seeds.Writable(v.where) {
			errs = append(errs, fmt.Errorf("storage.volumes.%s: it cannot be mounted at %s, since the root is read-only: use a path below /var", v.name, v.where))
		}
	}
	return errors.Join(errs...)
}

// VolumeAt is where the volume is mounted that a path of a node belongs on, or "".
func VolumeAt(s seeds.Seed, self seeds.Node, f facts.Facts, path string) string {
	return onVolumePath(volumesOf(s, self, f), path)
}
