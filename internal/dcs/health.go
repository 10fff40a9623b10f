package dcs

import (
	"context"
	"errors"
	"net"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Endpoint is what one endpoint of etcd says of its member.
type Endpoint struct {
	URL     string
	Member  uint64 // its ID
	Leader  uint64 // whom it follows, by ID; 0 while it knows no leader
	Size    int64  // of its database, in bytes, with what is free in it
	Version string
	Err     error // why it says nothing
}

// Endpoints asks each of these endpoints of its own, all at once, and returns the answers
// in their order. None of them needs a quorum for its answer.
func (c Client) Endpoints(ctx context.Context, urls []string) []Endpoint {
	all := make([]Endpoint, len(urls))
	var asking sync.WaitGroup
	for i, url := range urls {
		asking.Go(func() { all[i] = c.endpoint(ctx, url) })
	}
	asking.Wait()
	return all
}

// endpoint tells why nobody can be connected to, which the client of etcd would try again
// and again.
func (c Client) endpoint(ctx context.Context, url string) Endpoint {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	dial := func(dialing context.Context, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(dialing, "tcp", addr)
		if err != nil {
			refuse(err)
		}
		return conn, err
	}
	one, err := clientv3.New(clientv3.Config{
		Context: ctx, Endpoints: []string{url}, TLS: c.tls, Username: c.etcd.Username, Password: c.etcd.Password,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(dial)}, Logger: zap.NewNop(),
	})
	if err == nil {
		defer one.Close()
		var s *clientv3.StatusResponse
		if s, err = one.Status(ctx, url); err == nil {
			return Endpoint{URL: url, Member: s.Header.GetMemberId(), Leader: s.Leader, Size: s.DbSize, Version: s.Version}
		}
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return Endpoint{URL: url, Err: err}
}

// Alarm is one that a member has raised, and that stands until somebody takes it back.
type Alarm struct {
	Member uint64 // its ID
	Kind   string // "NOSPACE" or "CORRUPT"
}

// Alarms lists them: https://etcd.io/docs/v3.5/op-guide/maintenance/#space-quota
func (c Client) Alarms(ctx context.Context) (all []Alarm, err error) {
	err = c.ask(ctx, func(ctx context.Context) error {
		response, err := c.etcd.AlarmList(ctx)
		if err != nil {
			return err
		}
		for _, a := range response.Alarms {
			if a.Alarm != etcdserverpb.AlarmType_NONE {
				all = append(all, Alarm{a.MemberID, a.Alarm.String()})
			}
		}
		return nil
	})
	return all, err
}

// IsDenied tells whether an error says that this user of etcd may not ask that.
func IsDenied(err error) bool { return errors.Is(err, rpctypes.ErrPermissionDenied) }
