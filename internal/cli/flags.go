package cli

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/tandem-actors/tandem/identity"
)

// CheckBind returns a usage error unless addr, the host:port that flag says to
// listen on, is one of the loopback interface or insecure is set: there are no
// credentials yet, so whoever can connect could do everything.
func CheckBind(flag, addr string, insecure bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return Errorf(Usage, fmt.Sprintf("give host:port, like --%s 127.0.0.1:0", flag), "--%s %q: not host:port", flag, addr)
	}
	if insecure || strings.EqualFold(host, "localhost") {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return nil
	}
	return Errorf(Usage, "there are no credentials yet: use a loopback address, or --insecure if only friends can connect",
		"--%s %q: not a loopback address", flag, addr)
}

// CheckPeers returns a usage error unless all of addrs, from flag, are host:port.
func CheckPeers(flag string, addrs []string) error {
	for _, addr := range addrs {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return Errorf(Usage, fmt.Sprintf("give host:port, several with commas, like --%s 10.0.0.1:7946,10.0.0.2:7946", flag),
				"--%s %q: not host:port", flag, addr)
		}
	}
	return nil
}

// CheckNames returns a usage error unless name, from flag, and realm, from
// --realm, can be used. No name is none given.
func CheckNames(flag, name, realm string) error {
	if name != "" {
		if err := identity.CheckName(name); err != nil {
			return Errorf(Usage, "give 1 to 255 printable characters, without spaces at the ends", "%s: %w", flag, err)
		}
	}
	if err := identity.CheckRealm(realm); err != nil {
		return Errorf(Usage, "give 1 to 63 of a-z, 0-9 and -, like --realm "+identity.DefaultRealm, "--realm: %w", err)
	}
	return nil
}

// NewLogger returns a logger on w: text on a terminal, JSON lines elsewhere.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
