package dcs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

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
// that a server minds the word not). It returns its ID, and all members: to ask for them
// may take the new one's vote.
func (c Client) Add(ctx context.Context, peerURL string) (id uint64, all []Member, err error) {
	err = c.ask(ctx, func(ctx context.Context) error {
		response, err := c.etcd.MemberAddAsLearner(ctx, []string{peerURL})
		if err == nil {
			id, all = response.Member.ID, membersOf(response.Members)
		}
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("add %s to etcd's members: %w", peerURL, err)
	}
	return id, all, nil
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

// Answers tells whether a member takes connections from this node.
func (m Member) Answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for _, text := range m.PeerURLs {
		u, err := url.Parse(text)
		if err != nil {
			continue // etcd has checked it
		}
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host); err == nil {
			_ = conn.Close()
			return true
		}
	}
	return false
}

// Active tells whether any of the other members that answer has a connection to a member,
// or has not noticed yet that it is gone. Nobody answering is an error.
// https://etcd.io/docs/v3.5/metrics/etcd-metrics-latest.txt, etcd_network_active_peers
func (c Client) Active(ctx context.Context, member Member, all []Member) (bool, error) {
	var errs []error
	answers := 0
	for _, other := range all {
		if other.ID == member.ID || len(other.ClientURLs) == 0 {
			continue
		}
		active, err := c.activeAt(ctx, other.ClientURLs[0], fmt.Sprintf("%x", member.ID))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if active {
			return true, nil
		}
		answers++
	}
	if answers == 0 {
		return false, errors.Join(append(errs, errors.New("no other member of etcd says whom it is connected to"))...)
	}
	return false, nil
}

func (c Client) activeAt(ctx context.Context, url, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return false, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: c.tls}}
	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s/metrics: %s", url, response.Status)
	}
	return activePeer(io.LimitReader(response.Body, 8<<20), id)
}

// activePeer reads whether the member that is asked has a connection to the peer of that ID.
func activePeer(metrics io.Reader, id string) (bool, error) {
	lines := bufio.NewScanner(metrics)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if strings.HasPrefix(name, "etcd_network_active_peers{") && strings.Contains(name, `Remote="`+id+`"`) {
			return strings.TrimSpace(value) != "0", nil
		}
	}
	return false, lines.Err()
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
// members one at a time, and only while all are connected.
func MayPass(err error) bool {
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
