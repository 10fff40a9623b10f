package seeds

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	volumeName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,30}$`)
	volumeText = regexp.MustCompile(`^[A-Za-z0-9._+:-]+$`) // a label, or a name of udev's
	// ownVolumes are those that have their places, and the service whose they are.
	ownVolumes = map[string]Service{"data": ServicePostgreSQL, "wal": ServicePostgreSQL, "etcd": ServiceEtcd, "log": ""}
	// longestLabels are in bytes: mke2fs(8), mkfs.xfs(8).
	longestLabels = map[Filesystem]int{"ext4": 16, "xfs": 12}
)

func (d document) checkStorage(prefix string, s Storage) {
	disks, labels, paths := map[DiskMatch]string{}, map[string]string{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Volumes)) {
		volume, path := s.Volumes[name], prefix+"volumes."+name
		if !volumeName.MatchString(name) {
			d.RefuseKey(path, "this is not the name of a volume: use 1 to 31 lower-case letters, digits, hyphens and underscores, with a letter first")
			continue
		}
		_, own := ownVolumes[name]
		switch {
		case own:
			d.Refuse(path+".path", "the volume %s has its place: remove path, or give the volume a name of your own", name)
		case d.Given(path):
			d.checkVolumePath(path, name, volume)
		}
		if other := paths[volume.Path]; volume.Path != "" && other != "" {
			d.Refuse(d.given(path+".path", prefix+"volumes."+other+".path"), "%s and %s are mounted at one path: give each its own", other, name)
		}
		paths[volume.Path] = name
		d.checkDiskMatch(path+".match", volume.Match)
		if other := disks[volume.Match]; other != "" && volume.Match != (DiskMatch{}) && !d.Malformed(path+".match") {
			d.Refuse(d.given(path+".match", prefix+"volumes."+other+".match"), "%s and %s match the same disk: tell them apart by serial or by-id", other, name)
		}
		disks[volume.Match] = name
		if other := labels[d.checkLabel(path, name, volume)]; other != "" {
			d.Refuse(d.given(path+".label", prefix+"volumes."+other+".label"), "%s and %s have one label: give each its own", other, name)
		}
		labels[volume.LabelOf(name)] = name
		for i, option := range volume.Options {
			if option == "" || strings.ContainsAny(option, " ,\t\"'#") {
				d.Refuse(fmt.Sprintf("%s.options[%d]", path, i), "%s is not one option of mount: write an item for each", quote(option))
			}
		}
		checkTwice(d, path+".options", volume.Options, quote)
		d.checkWipe(path, volume)
	}
}

// LabelOf is the label of the file system on the volume of that name.
func (v StorageVolume) LabelOf(name string) string {
	if v.Label != "" {
		return v.Label
	}
	return name
}

func (d document) checkVolumePath(path, name string, volume StorageVolume) {
	if volume.Path == "" {
		d.Require(path+".path", fmt.Sprintf("the directory that %s is mounted at; only data, wal, etcd and log have their places", name))
		return
	}
	d.checkDirectory(path+".path", volume.Path)
}

func (d document) checkDiskMatch(path string, m DiskMatch) {
	if strings.ContainsAny(m.ByID, "/ ") {
		d.Refuse(path+".by-id", "%s is not a name in /dev/disk/by-id: write the name alone", quote(m.ByID))
	}
	for _, key := range []string{"by-id", "serial", "model", "min_size", "max_size"} {
		if value := map[string]string{"by-id": m.ByID, "serial": m.Serial, "model": m.Model, "min_size": m.MinSize.String(), "max_size": m.MaxSize.String()}[key]; strings.TrimSpace(value) == "" || value == "0B" {
			d.Refuse(path+"."+key, "this matches every disk, or none: write a value, or remove the key")
		}
	}
	if m.MaxSize > 0 && m.MinSize > m.MaxSize {
		d.Refuse(d.given(path+".min_size", path+".max_size"), "min_size of %s is above max_size of %s: no disk is so", m.MinSize, m.MaxSize)
	}
	wellFormed := true
	for _, key := range []string{"by-id", "serial", "model", "min_size", "max_size", "class"} {
		wellFormed = wellFormed && !d.Malformed(path+"."+key) && !d.Given(path+"."+key)
	}
	if m == (DiskMatch{Class: DiskClassAny}) && wellFormed {
		d.Refuse(path, "there is nothing to match: set by-id, serial, model, a size or class")
	}
}

// checkLabel returns the label, for comparing.
func (d document) checkLabel(path, name string, volume StorageVolume) string {
	label, longest := volume.LabelOf(name), longestLabels[volume.Filesystem]
	switch {
	case volume.Label != "" && !volumeText.MatchString(label):
		d.Refuse(path+".label", "%s is not a label: use letters, digits, dots, hyphens and underscores", quote(label))
	case longest == 0 || len(label) <= longest:
	case volume.Label != "":
		d.Refuse(d.given(path+".label", path+".filesystem"), "%s is too long for a label of %s, which has at most %d characters", quote(label), volume.Filesystem, longest)
	default:
		d.Refuse(path, "%s is too long for a label of %s, which has at most %d characters: set label", name, volume.Filesystem, longest)
	}
	return label
}

// checkWipe: only somebody who names the disk may lose what it holds.
func (d document) checkWipe(path string, volume StorageVolume) {
	switch {
	case !volumeText.MatchString(volume.Wipe), volume.Wipe == "true", volume.Wipe == "yes":
		d.Refuse(path+".wipe", "%s is not a serial number: write that of the one disk that may be wiped, see lsblk -o NAME,SERIAL", quote(volume.Wipe))
	case volume.Match.Serial != "" && volume.Match.Serial != volume.Wipe:
		d.Refuse(path+".wipe", "match.serial picks another disk than this: write the same serial number in both")
	}
}

// checkVolumes: a disk for what the node does not run is not there, or is another's.
func (d document) checkVolumes(node string, s Seed, n Node) {
	for _, name := range slices.Sorted(maps.Keys(n.Storage.Volumes)) {
		service := ownVolumes[name]
		if service == "" || n.Runs(service) || service == ServiceEtcd && s.IsEtcdMember(n) {
			continue
		}
		path := "storage.volumes." + name
		if d.Given(node + path) {
			d.Refuse(node+path, "the volume %s is for %s, which this node does not run: remove it, or add the service", name, service)
			continue
		}
		d.Warn(path, "node %s does not run %s, and its disks would be looked through for the volume %s: take that back below the node", quote(n.Name), service, name)
	}
}
