package seeds

import (
	"bytes"
	"fmt"
)

// Action is what is done with a seed that is found on a machine which has one.
type Action string

// Actions.
const (
	Leave Action = "leave" // it is the sealed one, or not to be taken
	Stage Action = "stage" // it is kept, and a person told
	Apply Action = "apply" // it takes the place of the sealed one
)

// Verdict is an Action and why.
type Verdict struct {
	Action Action
	Reason string
}

// Judge weighs a seed that was found on a machine which has been planted, against
// the sealed one and the node that it is by that.
//
// A seed without a generation may be older or newer, and is staged where its text
// differs. If it were applied, two sticks would take turns. One without the id that
// the sealed seed has is staged as well.
func Judge(sealed, found Found) Verdict {
	if bytes.Equal(unsigned(sealed.Data), unsigned(found.Data)) {
		return Verdict{Leave, "the seed that is sealed here"}
	}
	refuse := func(format string, args ...any) Verdict {
		return Verdict{Leave, "refused: " + fmt.Sprintf(format, args...)}
	}
	have, got, node := sealed.Seed.Cluster, found.Seed.Cluster, sealed.Node.Name
	switch {
	case have.ID != "" && got.ID != "" && have.ID != got.ID:
		return refuse("it is of another cluster: its cluster.id is %s, and that of this node %s", got.ID, have.ID)
	case have.Name != got.Name:
		return refuse("it is of the cluster %s, and this node of %s", got.Name, have.Name)
	case found.Seed.Node != "" && found.Seed.Node != node:
		return refuse("it is for the node %s, and this machine is %s", found.Seed.Node, node)
	}
	if _, ok := found.Seed.ByName(node); !ok {
		return refuse("it has no node %s, which this machine is", node)
	}
	both := have.Generation != 0 && got.Generation != 0
	switch {
	case both && got.Generation < have.Generation:
		return refuse("its generation %d is older than %d, which is sealed here", got.Generation, have.Generation)
	case both && got.Generation == have.Generation:
		return refuse("its text differs, though it has the generation %d that is sealed here: mint it again, which gives it another", have.Generation)
	}
	what := "another seed, which gives no generation,"
	if got.Generation != 0 {
		what = fmt.Sprintf("a newer seed (generation %d)", got.Generation)
	}
	claimed := (have.ID == "" || got.ID != "") && got.Generation != 0
	if sealed.Seed.Reconfigure == ReconfigureAutomatic && claimed {
		return Verdict{Apply, what + " takes the place of the sealed one, which says reconfigure: automatic"}
	}
	return Verdict{Stage, what + " was found"}
}
