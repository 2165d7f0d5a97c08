package cli

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/agent"
)

func TestAgentTellsSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	a := &watchdog{&agent.Agent{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
	a.tell(Env{Getenv: func(string) string { return "" }}, "nothing")
	a.tell(Env{Getenv: func(name string) string { return map[string]string{"NOTIFY_SOCKET": path}[name] }}, "READY=1")
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("systemd was told %q, %v", buf[:n], err)
	}
}

func TestAgentAnswers(t *testing.T) {
	server := httptest.NewServer(answers(&agent.Metrics{}))
	defer server.Close()
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/health":  {http.StatusServiceUnavailable, "starting"},
		"/metrics": {http.StatusOK, "cnmctl_passes_total 0\n"},
		"/":        {http.StatusNotFound, ""},
	} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want.code || !strings.Contains(string(body), want.text) {
			t.Errorf("%s: %d, %v\n%s", path, resp.StatusCode, err, body)
		}
	}
}

func TestTunnelEnd(t *testing.T) {
	var addresses []net.Addr
	for _, text := range []string{"127.0.0.1/8", "169.254.1.1/16", "fe80::1/64", "2001:db8::5/64", "10.0.0.5/24", "10.0.0.6/24"} {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	for _, c := range []struct {
		asked string
		any   bool
		want  string
	}{
		{"", true, "10.0.0.5"}, {"10.0.0.6", false, "10.0.0.6"}, {"2001:db8::5", false, "2001:db8::5"},
		{"10.0.0.9", false, ""}, {"", false, ""},
	} {
		asked, _ := netip.ParseAddr(c.asked)
		end, ok := tunnelEnd(addresses, asked, c.any)
		if ok != (c.want != "") || ok && end.String() != c.want {
			t.Errorf("%+v: %s, %v", c, end, ok)
		}
	}
	if end, ok := tunnelEnd(addresses[:4], netip.Addr{}, true); !ok || end.String() != "2001:db8::5" {
		t.Errorf("without IPv4: %s, %v", end, ok)
	}
}
