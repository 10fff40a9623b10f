//go:build boot

package boot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// shell is a user's SSH connection to a machine.
type shell struct {
	client  *ssh.Client
	hostKey string // as in known_hosts
}

// dial connects to the SSH server at addr, again and again until it answers or
// ctx ends: QEMU accepts a connection before the guest's server is there to.
func dial(ctx context.Context, addr, user string, key ssh.Signer) (*shell, error) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		s, err := dialOnce(ctx, addr, user, key)
		if err == nil {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("ssh %s@%s: %w: %w", user, addr, context.Cause(ctx), err)
		case <-again.C:
		}
	}
}

func dialOnce(ctx context.Context, addr, user string, key ssh.Signer) (*shell, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever reads from it is told
	defer stop()
	s := new(shell)
	c, channels, requests, err := ssh.NewClientConn(conn, addr, &ssh.ClientConfig{
		User: user,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			s.hostKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
			return nil
		},
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s.client = ssh.NewClient(c, channels, requests)
	return s, nil
}

// root runs a shell script as root and returns what it wrote to its standard
// output. The script itself goes over standard input, so that sudo does not
// write what it holds into the journal.
func (s *shell) root(ctx context.Context, script string) (string, error) {
	session, err := s.client.NewSession()
	if err != nil {
		return "", fmt.Errorf("ssh: %w", err)
	}
	defer session.Close()
	// All of the connection: a machine that hangs would not answer that a session is closed.
	stop := context.AfterFunc(ctx, func() { _ = s.client.Close() })
	defer stop()
	var stdout, stderr bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader(script), &stdout, &stderr
	if err := session.Run("sudo -n sh -eu"); err != nil {
		return "", fmt.Errorf("%s: %w: %s", script, cmp.Or(context.Cause(ctx), err), bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
