package seeds

import (
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"filippo.io/age"

	"banyan/internal/strict"
)

// at is a place with one file.
func at(source, file, data string) Place {
	return Place{Source: source, Visit: func(look func(fs.FS)) error {
		look(fstest.MapFS{file: {Data: []byte(data)}, "README.txt": {}})
		return nil
	}}
}

// anyone is a machine that any seed fits.
var anyone = Search{Fits: func(*Seed, Node) error { return nil }}

func absent(source string) Place {
	return Place{Source: source, Read: func() (string, []byte, error) { return "", nil, fs.ErrNotExist }}
}

func ofCluster(cluster string) string { return strings.Replace(minimal, "pgsql-cl", cluster, 1) }

func TestDiscoverTakesTheFirstValidSeed(t *testing.T) {
	broken := strings.Replace(ofCluster("broken"), "Hush-rewind", "Hush", 1)
	found, _, outcomes := anyone.Discover([]Place{
		absent("a"),
		{Source: "b", Visit: func(func(fs.FS)) error { return errors.New("mount /dev/sdb1: bad superblock") }},
		at("c", "seed.yaml", broken),
		at("d", "seed.yaml", ofCluster("first")),
		at("e", "seed.yaml", ofCluster("second")),
	})
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

func TestDiscoverGoesOnAfterAMisfit(t *testing.T) {
	fussy := Search{Fits: func(s *Seed, _ Node) error {
		if s.Cluster.Name == "misfit" {
			return errors.New("two interfaces")
		}
		return nil
	}}
	found, _, outcomes := fussy.Discover([]Place{
		at("a", "seed.yaml", ofCluster("misfit")),
		at("b", "seed.yaml", ofCluster("fits")),
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
	found, _, outcomes := anyone.Discover([]Place{absent("a"), at("b", "x", "")})
	if found != nil || len(outcomes) != 2 || outcomes[0].Found || outcomes[1].Found {
		t.Errorf("found %+v, %v", found, outcomes)
	}
}

func TestDiscoverFileNames(t *testing.T) {
	planted, err := Redacted([]byte(minimal), "pgsql-n1")
	if err != nil {
		t.Fatal(err)
	}
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
			found, _, outcomes := anyone.Discover([]Place{{Source: "a", Visit: func(look func(fs.FS)) error {
				look(test.files)
				return nil
			}}})
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
	found, _, outcomes := anyone.Discover([]Place{busy(minimal)})
	if found == nil || !reflect.DeepEqual(outcomes, []Outcome{{"a", true, "umount: busy"}}) {
		t.Errorf("found %+v, %+v", found, outcomes)
	}
	found, _, outcomes = anyone.Discover([]Place{busy("")})
	if found != nil || !strings.Contains(outcomes[0].Reason, "the file holds no seed") || !strings.Contains(outcomes[0].Reason, "umount: busy") {
		t.Errorf("found %+v, %+v", found, outcomes)
	}
}

func file(data string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(data)} }

// A medium may hold the seeds of a whole rack.
func TestDiscoverFilesForThisMachine(t *testing.T) {
	me := Search{Fits: anyone.Fits, Machine: Machine{MACs: []MAC{parseMAC(t, "52:54:00:ab:cd:01")}, Serial: "CZ1", Hostname: "rack3-u12.demo.ru"}}
	link := &fstest.MapFile{Data: []byte("/etc/shadow"), Mode: fs.ModeSymlink}
	for name, c := range map[string]struct {
		files        fstest.MapFS
		file, reason string
	}{
		"MAC":               {fstest.MapFS{"seeds/52-54-00-AB-CD-01.yaml": file(minimal), "seeds/52-54-00-ab-cd-02.yaml": file("x")}, "seeds/52-54-00-AB-CD-01.yaml", ""},
		"MAC alone":         {fstest.MapFS{"525400abcd01.yml": file(minimal)}, "525400abcd01.yml", ""},
		"MAC with colons":   {fstest.MapFS{"seeds/52:54:00:ab:cd:01.yaml": file(minimal)}, "seeds/52:54:00:ab:cd:01.yaml", ""},
		"serial":            {fstest.MapFS{"SEEDS/cz1.YAML": file(minimal)}, "SEEDS/cz1.YAML", ""},
		"host name":         {fstest.MapFS{"seeds/rack3-u12.demo.ru.yaml": file(minimal)}, "seeds/rack3-u12.demo.ru.yaml", ""},
		"its first label":   {fstest.MapFS{"rack3-u12.yaml": file(minimal)}, "rack3-u12.yaml", ""},
		"before seed.yaml":  {fstest.MapFS{"seed.yaml": file("x"), "seeds/CZ1.yaml": file(minimal)}, "seeds/CZ1.yaml", ""},
		"none for it":       {fstest.MapFS{"seed.yaml": file(minimal), "seeds/CZ2.yaml": file("x"), "seeds/seed.yaml": file("x")}, "seed.yaml", ""},
		"too deep":          {fstest.MapFS{"seeds/rack3/CZ1.yaml": file(minimal)}, "", "holds no seed.yaml"},
		"other folders":     {fstest.MapFS{"old/CZ1.yaml": file(minimal)}, "", "holds no seed.yaml"},
		"two":               {fstest.MapFS{"CZ1.yaml": file(minimal), "seeds/525400abcd01.yaml": file(minimal)}, "", "holds CZ1.yaml and seeds/525400abcd01.yaml, which are all named after this machine: keep the one that is meant"},
		"a link":            {fstest.MapFS{"seeds/CZ1.yaml": link}, "", "seeds/CZ1.yaml is not a regular file: put the seed itself there"},
		"folder is a link":  {fstest.MapFS{"seeds": link}, "", "holds no seed.yaml"},
		"plain and .age":    {fstest.MapFS{"seed.yaml": file(minimal), "seed.yaml.age": file(minimal)}, "", "holds seed.yaml and seed.yaml.age: keep the one that is meant"},
		"named .age, plain": {fstest.MapFS{"seeds/CZ1.yaml.age": file(minimal)}, "seeds/CZ1.yaml.age", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, _, outcomes := me.Discover([]Place{{Source: "a", Visit: func(look func(fs.FS)) error {
				look(c.files)
				return nil
			}}})
			if outcomes[0].Reason != c.reason || (found == nil) != (c.file == "") || found != nil && found.File != c.file {
				t.Errorf("got %+v, %+v", found, outcomes)
			}
		})
	}
}

// The node that a machine is stays the same, whatever its hardware becomes.
func TestDiscoverKeepsTheNode(t *testing.T) {
	for name, c := range map[string]struct{ search, seed, want string }{
		"first time":       {"", rack, "pgsql-n1"},
		"planted":          {"pgsql-n2", rack, "pgsql-n2"},
		"unknown to it":    {"pgsql-n7", rack, "pgsql-n1"},
		"named for others": {"pgsql-n2", rack + "node: pgsql-n3\n", "pgsql-n3"},
	} {
		me := Search{Fits: anyone.Fits, Node: c.search, Machine: Machine{MACs: []MAC{parseMAC(t, "52:54:00:00:00:01")}}}
		found, err := me.Look([]Place{at("a", "seed.yaml", c.seed)}, 0)
		if err != nil || found.Node.Name != c.want {
			t.Errorf("%s: got %+v, %v", name, found, err)
		}
	}
}

func TestDiscoverText(t *testing.T) {
	text := func(data string) Place {
		return Place{Source: "a", Read: func() (string, []byte, error) { return "the OEM string", []byte(data), nil }}
	}
	found, _, outcomes := anyone.Discover([]Place{text("")})
	if found != nil || !strings.HasPrefix(outcomes[0].Reason, "the OEM string is not valid:\nthe OEM string:1:1: the file holds no seed") {
		t.Errorf("got %+v, %+v", found, outcomes)
	}
	if found, _, outcomes = anyone.Discover([]Place{text(minimal)}); found == nil || found.File != "the OEM string" || outcomes[0].Reason != "" {
		t.Errorf("got %+v, %+v", found, outcomes)
	}
}

func TestDiscoverEncrypted(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	data, err := Encrypt([]byte(minimal), key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	sealed, keys := string(data), "# a comment\n"+key.String()+"\n"
	both := Place{Source: "both", Visit: func(look func(fs.FS)) error {
		look(fstest.MapFS{"seed.yaml": file(sealed), KeyName: file(keys)})
		return nil
	}}
	stick := at("stick", "AGE.KEY", keys)
	for name, c := range map[string]struct {
		search Search
		places []Place
		reason string // "" where it is opened
	}{
		"no key":            {anyone, []Place{at("a", "seed.yaml", sealed)}, "give its passphrase, or a key that opens it"},
		"key elsewhere":     {anyone, []Place{at("a", "seed.yaml", sealed), stick}, ""},
		"key in the search": {Search{Fits: anyone.Fits, Identities: []age.Identity{key}}, []Place{at("a", "seed.yaml", sealed)}, ""},
		"key beside it":     {anyone, []Place{both}, "\nage.key of both: lies beside the seed and does not count: put it on another medium"},
		"no key of it":      {anyone, []Place{at("a", "seed.yaml", sealed), at("b", KeyName, "AGE-SECRET-KEY-Hush")}, "\nage.key of b: there is no key"},
	} {
		found, locked, outcomes := c.search.Discover(c.places)
		opened, reason := c.reason == "", outcomes[0].Reason
		if (found != nil) != opened || locked == opened || !strings.Contains(reason, c.reason) || strings.Contains(reason, "Hush") {
			t.Errorf("%s: found: %t, locked: %t, %s", name, found != nil, locked, reason)
		}
		if found != nil && string(found.Data) != minimal {
			t.Errorf("%s: found %s", name, found.Data)
		}
	}
}

func TestDiscoverSigned(t *testing.T) {
	public, private := newKey(t, 1)
	careful := Search{Fits: anyone.Fits, Key: &public}
	signed := sign(t, minimal, private)
	found, _, outcomes := careful.Discover([]Place{at("a", "seed.yaml", minimal), at("b", "seed.yaml", signed)})
	if found == nil || string(found.Data) != signed {
		t.Errorf("found %+v", found)
	}
	if !strings.HasPrefix(outcomes[0].Reason, "refused, since this machine takes signed seeds alone: seed.yaml is not signed") {
		t.Errorf("got %+v", outcomes)
	}
}
