package seeds

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"banyan/internal/strict"
)

// at is a place with one file.
func at(source, file, data string) Place {
	return Place{Source: source, Visit: func(look func(fs.FS)) error {
		look(fstest.MapFS{file: {Data: []byte(data)}, "README.txt": {}})
		return nil
	}}
}

func ofCluster(cluster string) string { return strings.Replace(minimal, "pgsql-cl", cluster, 1) }

func TestDiscoverTakesTheFirstValidSeed(t *testing.T) {
	broken := strings.Replace(ofCluster("broken"), "Hush-rewind", "Hush", 1)
	found, outcomes := Discover([]Place{
		absent("a"),
		{Source: "b", Visit: func(func(fs.FS)) error { return errors.New("mount /dev/sdb1: bad superblock") }},
		at("c", "seed.yaml", broken),
		at("d", "seed.yaml", ofCluster("first")),
		at("e", "seed.yaml", ofCluster("second")),
	}, fits)
	if found == nil || found.Seed.Cluster.Name != "first" || found.Place.Source != "d" || string(found.Data) != ofCluster("first") {
		t.Fatalf("found %+v", found)
	}
	want := []Outcome{
		{Source: "a", Reason: "not present"},
		{Source: "b", Reason: "not readable: mount /dev/sdb1: bad superblock"},
		{Source: "c", Reason: "seed.yaml is not valid:\nseed.yaml:5:103: rewind_password is shorter than 8 characters\n    secrets: (secret)\n                     ^"},
		{Source: "d", Found: true},
		{Source: "e", Reason: "not looked at: the seed of d comes first"},
	}
	if !reflect.DeepEqual(outcomes, want) {
		t.Errorf("got  %+v\nwant %+v", outcomes, want)
	}
	out, err := json.Marshal(outcomes[:1])
	if err != nil || string(out) != `[{"source":"a","found":false,"reason":"not present"}]` {
		t.Errorf("as JSON: %s, %v", out, err)
	}
}

// fits is a machine that any seed fits.
func fits(*Seed) error { return nil }

func TestDiscoverGoesOnAfterAMisfit(t *testing.T) {
	found, outcomes := Discover([]Place{
		at("a", "seed.yaml", ofCluster("misfit")),
		at("b", "seed.yaml", ofCluster("fits")),
	}, func(s *Seed) error {
		if s.Cluster.Name == "misfit" {
			return errors.New("two interfaces")
		}
		return nil
	})
	if found == nil || found.Seed.Cluster.Name != "fits" {
		t.Errorf("found %+v", found)
	}
	want := []Outcome{{Source: "a", Reason: "seed.yaml does not fit this machine:\ntwo interfaces"}, {Source: "b", Found: true}}
	if !reflect.DeepEqual(outcomes, want) {
		t.Errorf("got  %+v\nwant %+v", outcomes, want)
	}
}

func TestDiscoverFindsNothing(t *testing.T) {
	found, outcomes := Discover([]Place{absent("a"), at("b", "x", "")}, fits)
	if found != nil || len(outcomes) != 2 || outcomes[0].Found || outcomes[1].Found {
		t.Errorf("found %+v, %v", found, outcomes)
	}
}

func TestDiscoverFileNames(t *testing.T) {
	planted, err := Redacted([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	file := func(data string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(data)} }
	for name, test := range map[string]struct {
		files  fstest.MapFS
		file   string
		reason string
	}{
		"plain":         {fstest.MapFS{"seed.yaml": file(minimal)}, "seed.yaml", ""},
		"FAT":           {fstest.MapFS{"SEED.YML": file(minimal)}, "SEED.YML", ""},
		"hidden beside": {fstest.MapFS{"seed.yaml": file(minimal), "seed.yaml.txt": file("x")}, "seed.yaml", ""},
		"hidden ending": {fstest.MapFS{"Seed.yaml.txt": file(minimal)}, "", "Seed.yaml.txt is not read: rename it to seed.yaml (Windows hides the ending .txt)"},
		"none":          {fstest.MapFS{"user-data": file(""), "x/seed.yaml": file(minimal), "seed.example.yaml": file(minimal)}, "", "holds no seed.yaml"},
		"two":           {fstest.MapFS{"seed.yaml": file(minimal), "seed.yml": file(minimal)}, "", "holds seed.yaml and seed.yml: keep the one that is meant"},
		"a directory":   {fstest.MapFS{"seed.yaml/x": file("")}, "", "seed.yaml is not a regular file: put the seed itself there"},
		"a link":        {fstest.MapFS{"seed.yaml": {Data: []byte("../etc/shadow"), Mode: fs.ModeSymlink}}, "", "seed.yaml is not a regular file: put the seed itself there"},
		"planted":       {fstest.MapFS{"seed.yaml": file(string(planted))}, "", "planted already: the secrets of this seed are sealed on its node"},
		"too large":     {fstest.MapFS{"seed.yaml": file(minimal + strings.Repeat("#", strict.MaxSize))}, "", "seed.yaml is not valid:\nseed.yaml:1:1: the file is larger than 1024 KiB: this is not a seed"},
	} {
		t.Run(name, func(t *testing.T) {
			found, outcomes := Discover([]Place{{Source: "a", Visit: func(look func(fs.FS)) error {
				look(test.files)
				return nil
			}}}, fits)
			if want := []Outcome{{"a", test.file != "", test.reason}}; !reflect.DeepEqual(outcomes, want) {
				t.Errorf("got  %+v\nwant %+v", outcomes, want)
			}
			if test.file == "" && found != nil || test.file != "" && (found == nil || found.File != test.file) {
				t.Errorf("found %+v, want the file %q", found, test.file)
			}
		})
	}
}

// TestDiscoverKeepsWhatUnmountingSpoils: neither a seed nor what is wrong with it
// is lost when a volume is not unmounted.
func TestDiscoverKeepsWhatUnmountingSpoils(t *testing.T) {
	busy := func(data string) Place {
		p := at("a", "seed.yaml", data)
		visit := p.Visit
		p.Visit = func(look func(fs.FS)) error { return errors.Join(visit(look), errors.New("umount: busy")) }
		return p
	}
	found, outcomes := Discover([]Place{busy(minimal)}, fits)
	if found == nil || !reflect.DeepEqual(outcomes, []Outcome{{"a", true, "umount: busy"}}) {
		t.Errorf("found %+v, %+v", found, outcomes)
	}
	found, outcomes = Discover([]Place{busy("")}, fits)
	if found != nil || !strings.Contains(outcomes[0].Reason, "the file holds no seed") || !strings.Contains(outcomes[0].Reason, "umount: busy") {
		t.Errorf("found %+v, %+v", found, outcomes)
	}
}

func TestPlaces(t *testing.T) {
	own := Volume{Device: "/dev/sda3", Label: "BANYAN", Filesystem: "vfat"}
	volumes := []Volume{
		own,
		{Device: "/dev/sdb3", Label: "BANYAN", Filesystem: "vfat"}, // of an installer's stick
		{Device: "/dev/sdc1", Label: "banyan-seed", Filesystem: "vfat"},
		{Device: "/dev/sdd1", Label: "DATA", Filesystem: "ext4"},
		{Device: "/dev/sr0", Label: "cidata", Filesystem: "iso9660"},
	}
	var mounted []string
	mount := func(v Volume, look func(fs.FS)) error {
		mounted = append(mounted, v.Device)
		look(fstest.MapFS{})
		return nil
	}
	_, outcomes := Discover(Places(&own, volumes, mount)[:3], fits)
	want := []Outcome{
		{Source: "BANYAN partition /dev/sda3", Reason: "holds no seed.yaml"},
		{Source: "volume BANYAN-SEED /dev/sdc1", Reason: "holds no seed.yaml"},
		{Source: "volume CIDATA /dev/sr0", Reason: "holds no seed.yaml"},
	}
	if !reflect.DeepEqual(outcomes, want) {
		t.Errorf("got  %+v\nwant %+v", outcomes, want)
	}
	if got := fmt.Sprint(mounted); got != "[/dev/sda3 /dev/sdc1 /dev/sr0]" {
		t.Errorf("mounted %s", got)
	}

	var sources []string
	for _, p := range Places(nil, nil, mount) {
		sources = append(sources, p.Source)
	}
	if got := strings.Join(sources, ", "); got != "BANYAN partition of the boot disk, volume BANYAN-SEED or CIDATA, directory /etc/banyan" {
		t.Errorf("without volumes: %s", got)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	find := func(name string) (*Found, string) {
		found, outcomes := Discover([]Place{directory(name)}, fits)
		return found, outcomes[0].Reason
	}
	if found, reason := find(filepath.Join(dir, "none")); found != nil || reason != "not present" {
		t.Errorf("no directory: %+v, %s", found, reason)
	}
	if found, reason := find(dir); found != nil || reason != "holds no seed.yaml" {
		t.Errorf("no seed: %+v, %s", found, reason)
	}
	if err := os.WriteFile(filepath.Join(dir, "seed.yaml"), []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, reason := find(dir); found == nil || reason != "" {
		t.Errorf("a seed: %+v, %s", found, reason)
	}
}
