package daemon

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tandem-actors/tandem/transport/broker"
)

// startBroker starts the NATS server of this process.
func (r *registrar) startBroker(ctx context.Context) (*broker.Broker, error) {
	host, port, err := split(r.cfg.NATSListen)
	if err == nil {
		err = free(r.cfg.NATSListen, "tcp")
	}
	if err != nil {
		return nil, &ListenError{PortNATS, r.cfg.NATSListen, err}
	}
	cfg := broker.Config{
		Host: host, Port: port, Name: r.cfg.Name,
		ClusterPort: r.cfg.NATSClusterPort, Routes: r.cfg.NATSRoutes, Logger: r.cfg.Logger,
	}
	if cfg.ClusterPort != 0 || len(cfg.Routes) > 0 {
		cfg.ClusterName = "tandem-" + r.cfg.Realm
		addr := net.JoinHostPort(host, strconv.Itoa(cfg.ClusterPort))
		if err := free(addr, "tcp"); err != nil {
			return nil, &ListenError{PortNATSCluster, addr, err}
		}
	}
	return broker.Start(ctx, cfg)
}

// split returns the parts of a host:port. No host is every one.
func split(addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	if host == "" {
		host = "0.0.0.0"
	}
	port, err = net.LookupPort("tcp", service)
	return host, port, err
}

// free returns an error if addr cannot be listened on. What is opened later, by
// a library that reports less, may still fail.
func free(addr string, networks ...string) error {
	for _, network := range networks {
		if network == "udp" {
			c, err := net.ListenPacket(network, addr)
			if err != nil {
				return err
			}
			_ = c.Close() // Nothing was sent.
			continue
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			return err
		}
		_ = l.Close() // Nothing was accepted.
	}
	return nil
}

// reachable turns an address that stands for every interface into one of this
// host. A scheme stays.
func reachable(addr string) string {
	scheme, rest, ok := strings.Cut(addr, "://")
	if !ok {
		scheme, rest = "", addr
	} else {
		scheme += "://"
	}
	at, err := netip.ParseAddrPort(rest)
	if err != nil || !at.Addr().IsUnspecified() {
		return addr
	}
	host := "127.0.0.1"
	if at.Addr().Is6() {
		host = "::1"
	}
	return scheme + net.JoinHostPort(host, strconv.Itoa(int(at.Port())))
}
