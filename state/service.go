package state

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Service is what an endpoint is registered as in the catalog of the store, so that others
// find it by name: while it is attached, with its address.
type Service struct {
	Name string
	Port uint16   `json:",omitempty"`
	Tags []string `json:",omitempty"`
	// Check is how the agent of the sandbox's host finds out whether it is well: CheckTCP, or
	// the path that it asks for over HTTP; "" for not at all. Interval is how often.
	Check    string        `json:",omitempty"`
	Interval time.Duration `json:",omitempty"`
}

// CheckTCP is the check that connects to the service's port.
const CheckTCP = "tcp"

// Checked reports that an agent looks after the service.
func (s *Service) Checked() bool { return s != nil && s.Check != "" }

// Verdict is what a check has found out.
type Verdict struct {
	// Health is Passing, Warning or Critical.
	Health string
	// Why is for people.
	Why string
}

// What may be the health of a service, in Consul's words.
const (
	Passing  = "passing"
	Warning  = "warning"
	Critical = "critical"
)

// ServiceAddress is where the endpoint's service is: its IPv4 address if it has both.
func (e Endpoint) ServiceAddress() netip.Addr {
	if e.IPv4.IsValid() {
		return e.IPv4.Addr()
	}
	return e.IPv6.Addr()
}

// Equal reports that both are the same, or none.
func (s *Service) Equal(other *Service) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.Name == other.Name && s.Port == other.Port && slices.Equal(s.Tags, other.Tags) &&
		s.Check == other.Check && s.Interval == other.Interval
}

// String is the service as a literal: { name = "web", port = 80, tags = ["v1"] }.
func (s *Service) String() string {
	var b strings.Builder
	b.WriteString("{ name = " + strconv.Quote(s.Name))
	if s.Port > 0 {
		b.WriteString(", port = " + strconv.Itoa(int(s.Port)))
	}
	if len(s.Tags) > 0 {
		b.WriteString(", " + "tags = " + listAttr("", s.Tags).Value)
	}
	if s.Check != "" {
		b.WriteString(", check = " + strconv.Quote(s.Check) + ", check_interval = " + strconv.Quote(s.Interval.String()))
	}
	return b.String() + " }"
}
