package seeds

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"aead.dev/minisign"
	"filippo.io/age"

	"banyan/internal/strict"
)

// PartitionName is the name, in the GPT of an image, of the partition on which a seed
// is dropped, and the label of its file system.
const PartitionName = "BANYAN"

// VolumeLabel is the label of the file systems that are made for seeds.
const VolumeLabel = "BANYAN-SEED"

// VolumeLabels are the labels of the file systems, such as that of a USB stick,
// on which a person may bring a seed. CIDATA is cloud-init's.
var VolumeLabels = []string{VolumeLabel, "CIDATA"}

// EncryptedSuffix ends the name of a seed that is encrypted.
const EncryptedSuffix = ".age"

// Place is somewhere a seed may have been dropped. It has files to choose from, or
// one text: exactly one of Visit and Read is there.
type Place struct {
	Source string // what it is called in an [Outcome]
	// Visit calls look with the place's files. Its error is [fs.ErrNotExist] where
	// the place does not exist.
	Visit func(look func(fs.FS)) error
	// Read returns the text, no more of it than tells that it is too large for a
	// seed, and what the text is called in messages. Its error is as that of Visit.
	Read func() (name string, data []byte, err error)
}

// Outcome is what came of looking at one place. It holds no secret.
type Outcome struct {
	Source string `json:"source"`
	Found  bool   `json:"found"`
	Reason string `json:"reason,omitempty"` // why no seed was taken from it, or what else there is to say
}

// Found is a valid seed and where it was.
type Found struct {
	Place Place
	File  string // its name there
	Data  []byte // in plain text, secrets and all
	Seed  *Seed
	Node  Node // which this machine is by it
}

// Search is what a seed has to be, and what it is read with.
type Search struct {
	Machine Machine // chooses among files, and among a seed's nodes
	// Node is the name of the node that the machine is already, or "".
	Node string
	// Fits says why a seed does not fit the machine.
	Fits func(*Seed, Node) error
	// Key has to have signed the seed, unless it is nil.
	Key *minisign.PublicKey
	// Identities open encrypted seeds, besides those in a KeyName of another place.
	Identities []age.Identity
}

// KeyName is the name of a file with identities of age, which open a seed that lies
// elsewhere.
const KeyName = "age.key"

// Discover looks at places in order and returns the first seed that is valid and
// fits, or nil. A seed that is broken or does not fit ends no search: what is wrong
// with it is the outcome of its place. There is an outcome for each place, for those
// after the seed as well. Locked tells of a seed that waits for its passphrase.
func (s Search) Discover(places []Place) (found *Found, locked bool, outcomes []Outcome) {
	for i, p := range places {
		o := Outcome{Source: p.Source}
		if found != nil {
			o.Reason = "not looked at: the seed of " + found.Place.Source + " comes first"
		} else {
			var err error
			found, err = s.Look(places, i)
			o.Found = found != nil
			if err != nil {
				o.Reason = err.Error()
			}
			locked = locked || errors.Is(err, ErrLocked)
		}
		outcomes = append(outcomes, o)
	}
	return found, locked, outcomes
}

// Look looks at one of the places alone. The error is why it has no seed, or, of a
// seed that is returned, what else went wrong; it holds no secret.
func (s Search) Look(places []Place, at int) (*Found, error) {
	p := places[at]
	name, data, err := s.read(p)
	if data == nil {
		return nil, err
	}
	found, invalid := s.accept(name, data, places, at)
	if invalid != nil {
		return nil, join(invalid, err)
	}
	found.Place = p
	return found, err
}

// join is errors.Join for what is shown one below the other.
func join(a, b error) error {
	if b == nil {
		return a
	}
	return fmt.Errorf("%w\n%w", a, b)
}

// read returns the text that may be a seed. Without one the error says why; with
// one, what went wrong after.
func (s Search) read(p Place) (name string, data []byte, err error) {
	var why error
	if p.Read != nil {
		if name, data, err = p.Read(); err != nil {
			data = nil // such as one with another checksum
		}
	} else {
		err = p.Visit(func(files fs.FS) { name, data, why = s.choose(files) })
	}
	switch {
	case data != nil || why != nil: // read, and then not closed
		if why != nil {
			err = join(why, err)
		}
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("not present")
	case err != nil:
		err = fmt.Errorf("not readable: %w", err)
	}
	return name, data, err
}

// lacksSecretsOnly tells whether nothing is wrong with a seed but that its secrets are
// sealed elsewhere.
func lacksSecretsOnly(name string, data []byte) bool {
	_, err := Parse(name, data)
	var problems strict.Problems
	return errors.As(err, &problems) && !slices.ContainsFunc(problems, func(p strict.Problem) bool { return p.Message != errSealed.Error() })
}

// accept makes a seed of a text, or says why not.
func (s Search) accept(name string, data []byte, places []Place, at int) (*Found, error) {
	if IsEncrypted(data) {
		keys, unusable := s.identities(places, at)
		plain, err := Decrypt(name, data, keys...)
		if err != nil {
			return nil, join(err, unusable)
		}
		data = plain
	}
	if IsRedacted(data) && lacksSecretsOnly(name, data) {
		return nil, errors.New("planted already: the secrets of this seed are sealed on its node")
	}
	if s.Key != nil {
		if err := Verify(name, data, *s.Key); err != nil {
			return nil, fmt.Errorf("refused, since this machine takes signed seeds alone: %w", err)
		}
	}
	seed, err := Parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("%s is not valid:\n%w", name, err)
	}
	self, err := s.self(seed)
	if err == nil {
		err = s.Fits(seed, self)
	}
	if err != nil {
		return nil, fmt.Errorf("%s does not fit this machine:\n%w", name, err)
	}
	return &Found{File: name, Data: data, Seed: seed, Node: self}, nil
}

// self is the node that the machine is; it stays the one that it was.
func (s Search) self(seed *Seed) (Node, error) {
	if n, ok := seed.ByName(s.Node); ok && (seed.Node == "" || seed.Node == s.Node) {
		return n, nil
	}
	return seed.Self(s.Machine)
}

// identities are those of the search, and those in the other places. A key that lies
// beside the seed keeps nobody out, and does not count. The error says of a key that
// it is none, or does not count.
func (s Search) identities(places []Place, seed int) (all []age.Identity, err error) {
	all = slices.Clone(s.Identities)
	for i, p := range places {
		if p.Visit == nil {
			continue
		}
		// What is wrong with the place itself is its own outcome.
		_ = p.Visit(func(files fs.FS) {
			keys, wrong := keysIn(files)
			if i == seed && keys != nil {
				keys, wrong = nil, errors.New("lies beside the seed and does not count: put it on another medium")
			}
			if wrong != nil {
				err = errors.Join(err, fmt.Errorf("%s of %s: %w", KeyName, p.Source, wrong))
			}
			all = append(all, keys...)
		})
	}
	return all, err
}

// keysIn reads the identities at the top of a medium.
func keysIn(files fs.FS) ([]age.Identity, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.EqualFold(e.Name(), KeyName) || !e.Type().IsRegular() {
			continue
		}
		text, err := readFile(files, e.Name())
		if err != nil {
			return nil, err
		}
		return ParseIdentities(bytes.NewReader(text))
	}
	return nil, nil
}

var (
	seedName   = regexp.MustCompile(`(?i)^seed\.ya?ml(\.age)?$`) // FAT has no case
	hiddenName = regexp.MustCompile(`(?i)^seed\.ya?ml\.txt$`)
	yamlName   = regexp.MustCompile(`(?i)^(.+)\.ya?ml(\.age)?$`)
)

// Folder is where seeds for several machines may lie on a medium.
const Folder = "seeds"

// IsSeedName tells whether a person would call a file of that name a seed, and
// Windows with its hidden .txt.
func IsSeedName(name string) bool { return seedName.MatchString(name) || hiddenName.MatchString(name) }

// MayBeSeed tells whether a file of that path on a medium is a seed by its name, for
// whatever machine.
func MayBeSeed(name string) bool {
	dir, base := path.Split(name)
	switch {
	case dir == "":
		return IsSeedName(base) || yamlName.MatchString(base)
	case strings.EqualFold(dir, Folder+"/"):
		return yamlName.MatchString(base)
	}
	return false
}

// choose finds the one file that is meant for the machine: by its name, or
// seed.yaml.
func (s Search) choose(files fs.FS) (name string, data []byte, err error) {
	top, err := fs.ReadDir(files, ".")
	if err != nil {
		return "", nil, fmt.Errorf("not readable: %w", err)
	}
	var general, own []string
	irregular := map[string]bool{}
	var hidden string
	mine := s.Machine.FileNames()
	sort := func(dir string, entries []fs.DirEntry) {
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			m := yamlName.FindStringSubmatch(e.Name())
			switch {
			case dir == "." && seedName.MatchString(e.Name()):
				general = append(general, name)
			case m != nil && slices.Contains(mine, strings.ToLower(m[1])):
				own = append(own, name)
			case dir == "." && hiddenName.MatchString(e.Name()):
				hidden = name
			}
			irregular[name] = !e.Type().IsRegular()
		}
	}
	sort(".", top)
	for _, e := range top {
		if strings.EqualFold(e.Name(), Folder) && e.IsDir() {
			below, err := fs.ReadDir(files, e.Name())
			if err != nil {
				return "", nil, fmt.Errorf("%s is not readable: %w", e.Name(), err)
			}
			sort(e.Name(), below)
		}
	}
	names := own
	if len(own) == 0 {
		names = general
	}
	switch {
	case len(own) > 1:
		return "", nil, fmt.Errorf("holds %s, which are all named after this machine: keep the one that is meant", list(own))
	case len(names) > 1:
		return "", nil, fmt.Errorf("holds %s: keep the one that is meant", list(names))
	case len(names) == 0 && hidden != "":
		return "", nil, fmt.Errorf("%s is not read: rename it to seed.yaml (Windows hides the ending .txt)", hidden)
	case len(names) == 0:
		return "", nil, errors.New("holds no seed.yaml")
	case irregular[names[0]]: // a link on a stick could name any file of this machine
		return "", nil, fmt.Errorf("%s is not a regular file: put the seed itself there", names[0])
	}
	data, err = readFile(files, names[0])
	if err != nil {
		return "", nil, fmt.Errorf("not readable: %w", err)
	}
	return names[0], data, nil
}

// readFile reads no more than tells Parse that the file is too large.
func readFile(files fs.FS, name string) ([]byte, error) {
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ReadText(file)
}

// ReadText reads a seed, and of what is too large for one no more than tells Parse
// so. It does not return nil data without an error.
func ReadText(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, strict.MaxSize+1))
	if err != nil {
		return nil, err
	}
	return data, nil
}
