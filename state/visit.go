package state

import (
	"slices"
	"strings"
)

// A sandbox may be a network namespace of somebody else, who made it and will end it. Its
// place is called as the configuration refers to it, so that it stays one place when what is
// referred to gets another namespace (a container that was started again):
//
//	blue                  a name in the netns directory
//	/proc/4242/ns/net     a path
//	docker://web          a container, by name or ID

// Container takes a reference to a container apart: the program that runs it, and what it
// is called there.
func Container(namespace string) (engine, name string, ok bool) {
	return strings.Cut(namespace, "://")
}

// Named reports that the namespace has a name in the netns directory, where `ip netns` and
// all that it brings (files laid over /etc) find it.
func Named(namespace string) bool { return !strings.Contains(namespace, "/") }

// AbsentError says why a namespace of somebody else is not there. Any other error means
// that nobody knows.
type AbsentError struct{ Why string }

func (e *AbsentError) Error() string { return e.Why }

// Visits are the namespaces of others that the records' sandboxes are in, as far as they are
// on the host.
func Visits(records World, host string) []string {
	var in []Sandbox
	for _, o := range records {
		if s, ok := o.(Sandbox); ok && s.Foreign && (s.Host == "" || s.Host == host) {
			in = append(in, s)
		}
	}
	slices.SortFunc(in, func(a, b Sandbox) int { return CompareKeys(a.Key(), b.Key()) })
	var names []string
	for _, s := range in {
		names = append(names, s.Netns)
	}
	return names
}
