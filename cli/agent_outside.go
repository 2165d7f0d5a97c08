package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/state"
)

// advertised is the record of this host, whose tunnels end at an interface's address, or at
// the address given.
func advertised(stack, host, by string) (*state.HostRecord, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces for -advertise: %w", err)
	}
	asked, _ := netip.ParseAddr(by)
	for _, l := range links {
		addresses, err := l.Addrs()
		if err != nil {
			return nil, fmt.Errorf("reading the addresses of %s for -advertise: %w", l.Name, err)
		}
		if vtep, ok := tunnelEnd(addresses, asked, l.Name == by); ok {
			return &state.HostRecord{
				Mark: state.Owner{Stack: stack, Address: state.Address("host." + host)},
				Name: host, VTEP: vtep, MTU: l.MTU, Registered: true,
			}, nil
		}
	}
	names := make([]string, len(links))
	for i, l := range links {
		if names[i] = l.Name; l.Name == by {
			return nil, fmt.Errorf("-advertise=%s: the interface has no address that others can reach; give it one, or name another interface", by)
		}
	}
	return nil, fmt.Errorf("-advertise=%s: this host has no interface called so, and none with such an address; there is %s", by, strings.Join(names, ", "))
}

// underlayMTU is the MTU of this host's interface with the address, 0 for none.
func underlayMTU(vtep netip.Addr) int {
	links, err := net.Interfaces()
	if err != nil {
		return 0
	}
	for _, l := range links {
		if addresses, err := l.Addrs(); err == nil {
			if _, ok := tunnelEnd(addresses, vtep, false); ok {
				return l.MTU
			}
		}
	}
	return 0
}

// tunnelEnd finds the address asked for among an interface's; the first that others can
// reach if it is the interface that was asked for, IPv4 before IPv6.
func tunnelEnd(addresses []net.Addr, asked netip.Addr, any bool) (end netip.Addr, ok bool) {
	for _, a := range addresses {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := p.Addr().Unmap()
		switch {
		case asked.IsValid() && ip == asked:
			return ip, true
		case !any || !ip.IsGlobalUnicast():
		case ip.Is4():
			return ip, true
		case !end.IsValid():
			end = ip
		}
	}
	return end, end.IsValid()
}

// serve answers for /health and /metrics until stop is called; "" is nowhere.
func serve(address string, m *agent.Metrics, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening at the address of -listen: %w", err)
	}
	server := &http.Server{Handler: answers(m), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serving /health and /metrics", "error", err)
		}
	}()
	log.Info("listening", "address", l.Addr().String())
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.Warn("ending /health and /metrics", "error", err)
		}
	}, nil
}

func answers(m *agent.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		text, ok := m.Health()
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, text)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = m.WriteTo(w) // who does not listen to the end is not told
	})
	return mux
}

// tell tells systemd how far the service is (sd_notify), if systemd started it.
func (a *watchdog) tell(env Env, what string) {
	socket := env.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(what))
		_ = conn.Close() // all was said, or the error is known
	}
	if err != nil {
		a.Log.Warn("telling systemd", "what", what, "error", err)
	}
}
