package flow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"banyan/internal/converge"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/seeds"
)

const (
	// sealedSeed is this machine's own copy of its seed.
	sealedSeed = facts.StateDir + "/seed.yaml"
	// sealedNode is the name of the node that this machine is by it. A seed of several
	// nodes may know the machine by a network card, which may be replaced; and the
	// seed itself, which may be signed, is not to be changed.
	sealedNode = facts.StateDir + "/node"
	// stagedSeed is a newer one, which waits for somebody to apply it.
	stagedSeed = facts.StateDir + "/staged.yaml"
)

// errNoSeed says that this machine has not been planted.
var errNoSeed = errors.New("no seed was planted here; `firstboot plant` looks for one")

// planted is a node as its seed and the facts make it.
type planted struct {
	seeds.Found
	facts   facts.Facts
	desired converge.State
}

// load reads the sealed seed and computes what it makes of this machine.
func load() (planted, error) {
	f, err := gatherFacts()
	if err != nil {
		return planted{}, err
	}
	sealed, err := readSealed(sealedSeed, f)
	if err != nil {
		return planted{}, err
	}
	return compute(sealed, f)
}

// gatherFacts gathers those of this machine.
func gatherFacts() (facts.Facts, error) {
	f, err := facts.Gather("/")
	if err != nil {
		err = fmt.Errorf("gather facts: %w", err)
	}
	return f, err
}

// compute computes what a seed makes of this machine.
func compute(found seeds.Found, f facts.Facts) (planted, error) {
	desired, err := node.Desired(*found.Seed, found.Node, f)
	return planted{found, f, desired}, err
}

// readSealed reads a seed that was sealed under that name.
func readSealed(path string, f facts.Facts) (seeds.Found, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return seeds.Found{}, errNoSeed
	}
	if err != nil {
		return seeds.Found{}, err
	}
	seed, err := seeds.Parse(path, data)
	if err != nil {
		return seeds.Found{}, err
	}
	name, err := os.ReadFile(sealedNode)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return seeds.Found{}, err
	}
	self, ok := seed.ByName(strings.TrimSpace(string(name)))
	if !ok {
		if self, err = seed.Self(f.Machine()); err != nil {
			return seeds.Found{}, err
		}
	}
	return seeds.Found{File: path, Data: data, Seed: seed, Node: self}, nil
}

// seal plants a seed: once it is sealed, this machine is its node. The name comes
// first, since a seed without it might mean another machine after the next change of
// hardware; a name without a seed means nothing.
func seal(found *seeds.Found) error {
	if err := seeds.Seal(sealedNode, []byte(found.Node.Name+"\n")); err != nil {
		return err
	}
	return seeds.Seal(sealedSeed, found.Data)
}

func isPlanted() (bool, error) { return durable.Exists(sealedSeed) }
