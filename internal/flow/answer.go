package flow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"banyan/internal/member"
	"banyan/internal/peer"
	"banyan/internal/pki"
)

// answerIdle is how long who answers the other nodes stays when nobody asks.
const answerIdle = 5 * time.Minute

// Answer answers the other nodes of the cluster what this one holds, at the socket that
// systemd listens at, until nobody has asked for a while, or there is a new seed.
func Answer(ctx context.Context, listeners []net.Listener) error {
	if len(listeners) != 1 {
		return errors.New("banyan-peer.socket starts this, and has one socket")
	}
	n, err := load()
	if err != nil {
		return err
	}
	config, err := pki.TLS(string(n.Seed.PKI.CA), string(n.Node.PKI.Certificate), n.Node.PKI.Key.Reveal())
	if err != nil {
		return fmt.Errorf("the certificates of the seed: %w", err)
	}
	planted, err := os.Stat(sealedSeed)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	return peer.Serve(ctx, listeners[0], config, answerIdle, func() (peer.Answer, error) {
		now, err := os.Stat(sealedSeed)
		if err != nil {
			return peer.Answer{}, err
		}
		if !os.SameFile(planted, now) || !now.ModTime().Equal(planted.ModTime()) {
			end()
			return peer.Answer{}, errors.New("there is a new seed, and who answers is started anew: ask again")
		}
		f, err := gatherFacts()
		if err != nil {
			return peer.Answer{}, err
		}
		return member.Holdings(ctx, *n.Seed, n.Node, f)
	})
}
