// Package spec reads configurations: HCL in, a Topology out, with every value known.
//
// Load parses files and sets variables; Evaluate goes through the blocks, asks an Allocator
// for the values that nobody wrote down, and evaluates whatever refers to them. All
// mistakes of a run are reported together, each with its place, the values involved and a
// remedy. The package is pure but for reading files.
package spec
