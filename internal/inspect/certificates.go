package inspect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"banyan/internal/converge"
	"banyan/internal/node"
	"banyan/internal/pki"
	"banyan/internal/verify"
	"banyan/seeds"
)

func (n subject) certificates(ctx context.Context) verify.Certificates {
	var found verify.Certificates
	external := n.seed.Cluster.DCS == seeds.DCSExternal
	for _, step := range n.desired.Steps {
		if step.Name != "certificates" { // whom all programs of the system trust is another matter
			continue
		}
		for _, r := range step.Resources {
			file, ok := r.(converge.File)
			if !ok || filepath.Ext(file.Path) != ".crt" {
				continue
			}
			c := fromFile(file.Path)
			c.Foreign = external && strings.HasPrefix(file.Path, "/etc/patroni/")
			found.Files = append(found.Files, c)
		}
	}
	services := n.services()
	shown := make([]verify.Certificate, len(services))
	var asking sync.WaitGroup
	for i, s := range services {
		asking.Go(func() { shown[i] = s.ask(ctx) })
	}
	asking.Wait()
	for _, c := range shown {
		if c.Name != "" { // else it could not be reached, which other checks tell
			found.Shown = append(found.Shown, c)
		}
	}
	return found
}

// fromFile judges all that is in a file.
func fromFile(path string) verify.Certificate {
	content, err := os.ReadFile(path)
	if err != nil {
		return verify.Certificate{Name: path, Err: err}
	}
	chain, err := pki.ParseCertificates(content)
	if err != nil {
		return verify.Certificate{Name: path, Err: err}
	}
	return firstToEnd(path, chain)
}

// firstToEnd is the one of a chain that ends first, and begins with the last of them.
func firstToEnd(name string, chain []*x509.Certificate) verify.Certificate {
	found := verify.Certificate{Name: name, NotBefore: chain[0].NotBefore, NotAfter: chain[0].NotAfter, Authority: chain[0].IsCA}
	for _, c := range chain[1:] {
		if c.NotBefore.After(found.NotBefore) {
			found.NotBefore = c.NotBefore
		}
		if c.NotAfter.Before(found.NotAfter) {
			found.NotAfter, found.Authority = c.NotAfter, c.IsCA
		}
	}
	return found
}

// service is what shows a certificate to who connects.
type service struct {
	name   string
	at     string // HOST:PORT
	config *tls.Config
	err    error                // there is no config
	begin  func(net.Conn) error // asks for TLS, where the service speaks without it first
	others bool                 // it is not the cluster's
	own    seeds.PEM            // the certificate that the seed gives it, on this node
	again  string               // what has it read that
}

// services are those of all nodes. etcd closes the door on, and logs, who has no
// certificate of its authority.
func (n subject) services() []service {
	var all []service
	add := func(of seeds.Node, s service, port uint16, config *tls.Config, err error) {
		s.name, s.at = s.name+" of "+of.Name, hostPort(of.Address.Addr(), port)
		s.config, s.err = config, err
		if of.Name != n.self.Name {
			s.own = ""
		}
		all = append(all, s)
	}
	open, err := pki.TLS(string(n.seed.PKI.CA), "", "")
	identity := node.EtcdIdentity(*n.seed, n.self)
	etcd, etcdErr := pki.TLS(string(identity.CA), string(identity.Certificate), identity.Key.Reveal())
	const reload = "systemctl reload patroni, and restart it where that is not enough"
	restAPI := reload
	if !node.ReloadsCertificate(n.facts) {
		restAPI = "systemctl restart patroni: the replicas first, then patronictl switchover, then the last; this Patroni reads its certificate when it starts alone"
	}
	for _, other := range n.seed.Nodes {
		if other.Runs(seeds.ServicePostgreSQL) {
			add(other, service{name: "Patroni", own: n.self.PKI.Certificate, again: restAPI}, other.Patroni.RESTAPI.Port, open, err)
			add(other, service{name: "PostgreSQL", own: n.self.PKI.Certificate, again: reload, begin: sslRequest}, other.PostgreSQL.Port, open, err)
		}
		if n.seed.IsEtcdMember(other) && n.seed.UsesEtcd(n.self) {
			add(other, service{name: "etcd", own: n.self.PKI.EtcdCertificate, again: "systemctl restart etcd"}, seeds.EtcdClientPort, etcd, etcdErr)
		}
	}
	if n.seed.Cluster.DCS == seeds.DCSExternal {
		for _, endpoint := range node.EtcdEndpoints(*n.seed, n.self) {
			if u, urlErr := url.Parse(endpoint); urlErr == nil && u.Scheme == "https" {
				all = append(all, service{name: "etcd at " + u.Host, at: u.Host, others: true, config: etcd, err: etcdErr})
			}
		}
	}
	return all
}

func hostPort(a netip.Addr, port uint16) string {
	return net.JoinHostPort(a.String(), strconv.Itoa(int(port)))
}

// sslRequest asks PostgreSQL for TLS:
// https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest
func sslRequest(conn net.Conn) error {
	if _, err := conn.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if answer[0] != 'S' {
		return errors.New("it speaks no TLS")
	}
	return nil
}

// connectTime is for a connection and its handshake.
const connectTime = 5 * time.Second

// ask connects to a service and judges what it shows but for its dates, which are
// package verify's to judge. One that cannot be reached has no name.
func (s service) ask(ctx context.Context) verify.Certificate {
	if s.err != nil {
		return verify.Certificate{Name: s.name, Err: s.err}
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.at)
	if err != nil {
		return verify.Certificate{}
	}
	defer conn.Close()
	end := context.AfterFunc(ctx, func() { _ = conn.Close() }) // it only ends what waits
	defer end()
	if s.begin != nil {
		if err := s.begin(conn); err != nil {
			return verify.Certificate{Name: s.name, Err: err}
		}
	}
	chain, err := s.handshake(ctx, conn)
	if err != nil {
		return verify.Certificate{Name: s.name, Err: err}
	}
	found := firstToEnd(s.name, chain)
	found.Foreign = s.others
	found.Err = trusted(chain, s.config.RootCAs)
	if s.own != "" {
		own, err := pki.ParseCertificates([]byte(s.own))
		if err == nil && !own[0].Equal(chain[0]) {
			found.Restart = s.again
		}
		found.Err = errors.Join(found.Err, err)
	}
	return found
}

// handshake is what the service shows. Whether that is to be trusted is looked at
// afterwards, since one that has ended is to be told of as such.
func (s service) handshake(ctx context.Context, conn net.Conn) ([]*x509.Certificate, error) {
	config := s.config.Clone()
	config.InsecureSkipVerify = true // nothing is said to it
	var chain []*x509.Certificate
	config.VerifyConnection = func(state tls.ConnectionState) error {
		chain = state.PeerCertificates
		return nil
	}
	client := tls.Client(conn, config)
	err := client.HandshakeContext(ctx)
	if len(chain) == 0 {
		return nil, err
	}
	if err == nil { // else it has shown what it has, and thinks nothing of us
		leave(client)
	}
	return chain, nil
}

// leave takes leave of a service, so that it logs no broken connection. One that does not
// answer in time has to.
func leave(client *tls.Conn) {
	if client.SetDeadline(time.Now().Add(time.Second)) == nil && client.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, client)
	}
}

// trusted tells whether one of the authorities has signed a certificate, whenever it is valid.
func trusted(chain []*x509.Certificate, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: chain[0].NotAfter.Add(-time.Second)})
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("the cluster's authority has not signed its certificate, but %q has", strings.TrimSpace(chain[0].Issuer.String()))
	}
	return err
}
