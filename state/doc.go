// Package state holds the one vocabulary that every room of cnmctl speaks: Key,
// Object, World, Delta and Op, and one file for each kind of object. A link in the
// kernel and an address claim in the store are both Objects, so one graph, one diff
// and one loop serve them all.
//
// The package is pure: values, comparisons and encodings. It imports no other room.
package state
