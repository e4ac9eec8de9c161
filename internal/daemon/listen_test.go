package daemon

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
)

func TestReachable_namesThisHost(t *testing.T) {
	for addr, want := range map[string]string{
		"0.0.0.0:4222":         "127.0.0.1:4222",
		"nats://0.0.0.0:4222":  "nats://127.0.0.1:4222",
		"[::]:8400":            "[::1]:8400",
		"127.0.0.1:8400":       "127.0.0.1:8400",
		"nats://10.0.0.1:4222": "nats://10.0.0.1:4222",
		"nats://example:4222":  "nats://example:4222",
	} {
		if got := reachable(addr); got != want {
			t.Errorf("reachable(%q) = %q, want %q", addr, got, want)
		}
	}
}

func TestSplit_noHostIsEveryOne(t *testing.T) {
	host, port, err := split(":4222")
	if host != "0.0.0.0" || port != 4222 || err != nil {
		t.Errorf("got %s, %d, %v", host, port, err)
	}
	for _, bad := range []string{"4222", "a:b:c", "a:http-no-such"} {
		if _, _, err := split(bad); err == nil {
			t.Errorf("split(%q) is accepted", bad)
		}
	}
}

func TestFree_seesBothProtocols(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	udpAddr := "127.0.0.1:" + strconv.Itoa(udp.LocalAddr().(*net.UDPAddr).Port)
	for _, addr := range []string{tcp.Addr().String(), udpAddr} {
		if err := free(addr, "tcp", "udp"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("free(%s) = %v, want in use", addr, err)
		}
	}
	if err := free("127.0.0.1:0", "tcp", "udp"); err != nil {
		t.Error(err)
	}
}
