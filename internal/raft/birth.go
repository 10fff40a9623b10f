package raft

import (
	"strings"

	"banyan/internal/node"
	"banyan/internal/peer"
)

// Founding has the member found the raft where it has no log, at its first start alone. It
// is a drop-in of [node.RaftUnit] in /run, so that a power cut ends it.
const (
	Founding        = "/run/systemd/system/" + node.RaftUnit + ".d/zz-founding.conf"
	FoundingContent = "[Service]\nEnvironment=BANYAN_RAFT_FOUND=1\n"
)

// Start is how a member is to be started.
type Start string

// The ways to start. Without [Found] a member that has no log takes what a leader has, and has
// no vote until then: that is never wrong.
const (
	Found Start = "found" // with [Founding]
	Plain Start = "plain"
	Wait  Start = "wait" // not yet: there is nobody who could tell it anything
)

// Decide says how a member starts that does not run, and whom it waits for. All that hold
// nothing found the raft together, each once it has heard that from all. So two that were
// emptied while the third is away never make a new one.
//
//	own                    others                         start
//	data                   -                              plain
//	nothing, begun, lost   one holds data                 plain: it is told
//	nothing, begun         all hold nothing, or begun     found
//	nothing, begun, lost   one is silent                  wait
//	lost                   none holds data                wait for a human
//	nothing, begun         one has lost its log, none holds data  wait for a human
//	any but data           bootstrap was ordered          found
func Decide(own peer.Holding, bootstrap bool, others []peer.Result) (Start, string) {
	if own == peer.Data {
		return Plain, ""
	}
	if bootstrap {
		return Found, ""
	}
	lost := own == peer.Lost
	for _, o := range others {
		if o.Err != nil {
			continue
		}
		switch o.Answer.Raft {
		case peer.Data:
			return Plain, ""
		case peer.Lost:
			lost = true
		}
	}
	if silent := peer.Silent(others); len(silent) > 0 {
		return Wait, "waits until all members of raft can be asked what they hold; silent: " + strings.Join(silent, "; ")
	}
	if lost {
		return Wait, "waits: the log of raft is gone, and no other member has one; see bootstrap in firstboot(8)"
	}
	return Found, ""
}
