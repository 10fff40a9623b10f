package dcs

import (
	"context"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// maintenance answers as a member of etcd that knows no leader.
type maintenance struct {
	etcdserverpb.UnimplementedMaintenanceServer
}

func (*maintenance) Status(context.Context, *etcdserverpb.StatusRequest) (*etcdserverpb.StatusResponse, error) {
	return &etcdserverpb.StatusResponse{Header: &etcdserverpb.ResponseHeader{MemberId: 7}, Version: "3.5.16", DbSize: 20480, Errors: []string{"etcdserver: no leader"}}, nil
}

func (*maintenance) Alarm(context.Context, *etcdserverpb.AlarmRequest) (*etcdserverpb.AlarmResponse, error) {
	return &etcdserverpb.AlarmResponse{Alarms: []*etcdserverpb.AlarmMember{
		{MemberID: 7, Alarm: etcdserverpb.AlarmType_NOSPACE}, {MemberID: 8, Alarm: etcdserverpb.AlarmType_NONE},
	}}, nil
}

// One member answers and another is not there, which is told at once.
func TestEndpoints(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	etcdserverpb.RegisterMaintenanceServer(server, &maintenance{})
	go func() { _ = server.Serve(listener) }() // until it is stopped
	t.Cleanup(server.Stop)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	there, absent := "http://"+listener.Addr().String(), "http://"+gone.Addr().String()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{there}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	c := Client{etcd: client}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})

	began := time.Now()
	got := c.Endpoints(t.Context(), []string{absent, there})
	if took := time.Since(began); took > answerTimeout/2 {
		t.Errorf("it took %v", took)
	}
	if want := (Endpoint{URL: there, Member: 7, Size: 20480, Version: "3.5.16"}); got[1] != want {
		t.Errorf("got %+v, want %+v", got[1], want)
	}
	if err := got[0].Err; got[0].URL != absent || err == nil || !strings.HasPrefix(err.Error(), "dial tcp "+gone.Addr().String()) || !strings.HasSuffix(err.Error(), "connection refused") {
		t.Errorf("got %+v", got[0])
	}
	alarms, err := c.Alarms(t.Context())
	if want := []Alarm{{7, "NOSPACE"}}; err != nil || !reflect.DeepEqual(alarms, want) {
		t.Errorf("got %v, %v", alarms, err)
	}
}
