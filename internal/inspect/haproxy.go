package inspect

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"banyan/internal/verify"
	"banyan/seeds"
)

// haproxySocket is where HAProxy takes commands.
const haproxySocket = "/run/haproxy/admin.sock"

func (n subject) haproxy(ctx context.Context) *verify.HAProxy {
	if !n.self.Runs(seeds.ServiceHAProxy) {
		return nil
	}
	out, err := tell(ctx, haproxySocket, "show stat")
	if err != nil {
		return &verify.HAProxy{Err: err}
	}
	lines, err := statistics(out)
	return &verify.HAProxy{Lines: lines, Err: err}
}

// tell gives HAProxy one command and returns its answer:
// https://docs.haproxy.org/3.0/management.html#9.3
func tell(ctx context.Context, socket, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 8<<20))
	return string(answer), err
}

// statistics reads the CSV of `show stat`, whose columns grow with each version:
// https://docs.haproxy.org/3.0/management.html#9.1
func statistics(text string) ([]verify.HAProxyLine, error) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("HAProxy's statistics: %w", err)
	}
	if len(rows) == 0 {
		return nil, errors.New("HAProxy's statistics are empty")
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	proxy, server, status, check := column("pxname"), column("svname"), column("status"), column("check_status")
	if min(proxy, server, status, check) < 0 {
		return nil, fmt.Errorf("HAProxy's statistics have not the columns of `show stat`, but %q", rows[0])
	}
	var lines []verify.HAProxyLine
	for _, row := range rows[1:] {
		lines = append(lines, verify.HAProxyLine{Proxy: row[proxy], Server: row[server], Status: row[status], Check: row[check]})
	}
	return lines, nil
}
