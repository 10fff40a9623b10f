package dcs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Member is a member of etcd as its cluster lists it.
type Member struct {
	ID         uint64
	Name       string // "" while it has never been started
	PeerURLs   []string
	ClientURLs []string
	Learner    bool // it has no vote yet
}

// Started tells whether the member has ever been started.
func (m Member) Started() bool { return m.Name != "" }

func (m Member) String() string { return fmt.Sprintf("%s (%x)", m.Name, m.ID) }

// Members lists the members. It needs a quorum.
func (c Client) Members(ctx context.Context) ([]Member, error) {
	// Before etcd 3.5 the list alone needs no quorum: CHANGELOG-3.5, member list.
	if err := c.Healthy(ctx); err != nil {
		return nil, err
	}
	var all []Member
	err := c.ask(ctx, func(ctx context.Context) error {
		response, err := c.etcd.MemberList(ctx)
		if err != nil {
			return err
		}
		all = membersOf(response.Members)
		return nil
	})
	return all, err
}

func membersOf(list []*etcdserverpb.Member) []Member {
	var all []Member
	for _, m := range list {
		all = append(all, Member{m.ID, m.Name, m.PeerURLs, m.ClientURLs, m.IsLearner})
	}
	return all
}

// Add makes a member of a peer, as a learner where etcd has them (3.4 and later; before
// that a server minds the word not).
func (c Client) Add(ctx context.Context, peerURL string) error {
	err := c.ask(ctx, func(ctx context.Context) error {
		_, err := c.etcd.MemberAddAsLearner(ctx, []string{peerURL})
		return err
	})
	if err != nil {
		return fmt.Errorf("add %s to etcd's members: %w", peerURL, err)
	}
	return nil
}

// Promote gives a learner its vote, unless it lags yet.
func (c Client) Promote(ctx context.Context, id uint64) error {
	err := c.ask(ctx, func(ctx context.Context) error {
		_, err := c.etcd.MemberPromote(ctx, id)
		return err
	})
	if err != nil && !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) && !errors.Is(err, rpctypes.ErrMemberNotLearner) {
		return fmt.Errorf("give the learner %x its vote: %w", id, err)
	}
	return nil
}

// Remove takes a member out. etcd refuses it where the rest would have no quorum.
func (c Client) Remove(ctx context.Context, id uint64) error {
	err := c.ask(ctx, func(ctx context.Context) error {
		_, err := c.etcd.MemberRemove(ctx, id)
		return err
	})
	if err != nil && !errors.Is(err, rpctypes.ErrMemberNotFound) {
		return fmt.Errorf("remove the member %x of etcd: %w", id, err)
	}
	return nil
}

// Update tells the others where a member's peers reach it.
func (c Client) Update(ctx context.Context, id uint64, peerURL string) error {
	err := c.ask(ctx, func(ctx context.Context) error {
		_, err := c.etcd.MemberUpdate(ctx, id, []string{peerURL})
		return err
	})
	if err != nil {
		return fmt.Errorf("change the address of the member %x of etcd to %s: %w", id, peerURL, err)
	}
	return nil
}

// hearingTime is longer than the pause between two answers of a member to its leader's
// heartbeats, which come every second where sites are far apart.
const hearingTime = 3 * time.Second

// Active tells whether any of the other members that answer receives anything from a
// member: whoever follows a leader answers each of its heartbeats. It listens for a while.
// Nobody answering is an error.
// https://etcd.io/docs/v3.5/metrics/etcd-metrics-latest.txt, etcd_network_peer_received_bytes_total
func (c Client) Active(ctx context.Context, member Member, all []Member) (bool, error) {
	var others []string
	for _, other := range all {
		if other.ID != member.ID && len(other.ClientURLs) > 0 {
			others = append(others, other.ClientURLs[0])
		}
	}
	id := fmt.Sprintf("%x", member.ID)
	before, err := c.received(ctx, others, id)
	if err != nil {
		return false, err
	}
	listened := time.NewTimer(hearingTime)
	defer listened.Stop()
	select {
	case <-listened.C:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	after, err := c.received(ctx, others, id)
	if err != nil {
		return false, err
	}
	for url, bytes := range after {
		if was, asked := before[url]; asked && bytes != was {
			return true, nil
		}
	}
	return false, nil
}

// received is how many bytes each member that answers has received from another one.
func (c Client) received(ctx context.Context, urls []string, id string) (map[string]float64, error) {
	received := map[string]float64{}
	var errs []error
	for _, u := range urls {
		bytes, err := c.receivedAt(ctx, u, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		received[u] = bytes
	}
	if len(received) == 0 {
		return nil, errors.Join(append(errs, errors.New("no other member of etcd says whom it hears"))...)
	}
	return received, nil
}

func (c Client) receivedAt(ctx context.Context, url, id string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: c.tls}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s/metrics: %s", url, response.Status)
	}
	return receivedBytes(io.LimitReader(response.Body, 8<<20), id)
}

// receivedBytes reads how much the member that is asked has received from the peer of that
// ID: 0 where it never heard of it.
func receivedBytes(metrics io.Reader, id string) (float64, error) {
	lines := bufio.NewScanner(metrics)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if name == `etcd_network_peer_received_bytes_total{From="`+id+`"}` {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, lines.Err()
}

// FindMember is the member of a node: of its name, or, where it was never started, the one
// that its peers would reach there.
func FindMember(all []Member, name, peerURL string) (Member, bool) {
	i := slices.IndexFunc(all, func(m Member) bool { return m.Name == name || !m.Started() && slices.Contains(m.PeerURLs, peerURL) })
	if i < 0 {
		return Member{}, false
	}
	return all[i], true
}

// IsLearner tells whether an error says that who was asked is a learner, which answers
// no such question.
func IsLearner(err error) bool {
	return errors.Is(err, rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner))
}

// MayPass tells whether what etcd refused it may allow a moment later: it changes its
// members one at a time, and only while all are connected. And another member than a
// learner may be asked then.
func MayPass(err error) bool {
	if IsLearner(err) {
		return true
	}
	for _, passing := range []error{
		rpctypes.ErrUnhealthy, rpctypes.ErrTooManyLearners, rpctypes.ErrMemberNotEnoughStarted, rpctypes.ErrNoLeader,
		rpctypes.ErrTimeout, rpctypes.ErrLeaderChanged, rpctypes.ErrTimeoutDueToLeaderFail, context.DeadlineExceeded,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}
