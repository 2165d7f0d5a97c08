// Package local is the store that needs no server: the claims and records of a stack in
// one JSON file, which a person can read and compare, replaced as a whole by every change
// and guarded by a lock of the operating system that no crash can leave behind.
//
// The file remembers, it does not decide: while the kernel's objects exist, what they hold
// is read from them, so a lost file costs nothing.
package local
