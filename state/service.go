package state

import (
	"slices"
	"strconv"
	"strings"
)

// Service is what an endpoint is registered as in the catalog of the store, so that others
// find it by name: while it is attached, with its address.
type Service struct {
	Name string
	Port uint16   `json:",omitempty"`
	Tags []string `json:",omitempty"`
}

// Equal reports that both are the same, or none.
func (s *Service) Equal(other *Service) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.Name == other.Name && s.Port == other.Port && slices.Equal(s.Tags, other.Tags)
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
	return b.String() + " }"
}
