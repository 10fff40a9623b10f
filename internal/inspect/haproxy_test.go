package inspect

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"banyan/internal/verify"
)

// The columns that HAProxy 2.2 and 3.0 begin with are the same; each version has more.
const (
	showStat = `# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,
primary,FRONTEND,,,0,0,10000,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,0,,,,0,0,0,0,,,,
primary,pgsql-n1,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,1,0,0,0,20,0,,1,2,1,,0,,2,0,,0,L7OK,200,4,
primary,pgsql-n2,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN,1,1,0,1,1,19,19,,1,2,2,,0,,2,0,,0,* L7STS,503,5,

`
)

func TestStatistics(t *testing.T) {
	got, err := statistics(showStat)
	want := []verify.HAProxyLine{
		{Proxy: "primary", Server: "FRONTEND", Status: "OPEN"},
		{Proxy: "primary", Server: "pgsql-n1", Status: "UP", Check: "L7OK"},
		{Proxy: "primary", Server: "pgsql-n2", Status: "DOWN", Check: "* L7STS"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                       "are empty",
		"Permission denied\n":    "have not the columns",
		"# pxname,svname\na,b,c": "wrong number of fields",
	} {
		if _, err := statistics(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

func TestTell(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil {
			_, err = fmt.Fprintf(conn, "told %s", line)
		}
		if closing := conn.Close(); err == nil {
			err = closing
		}
		done <- err
	}()
	got, err := tell(t.Context(), socket, "show stat")
	if err != nil || got != "told show stat\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tell(t.Context(), socket, "show stat"); err == nil {
		t.Error("nobody listens, and it was told")
	}
}
