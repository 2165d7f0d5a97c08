// Package consul keeps the claims and records of a stack in Consul's key/value store, for
// several hosts. It is the only room that speaks to Consul.
//
// Each record is a key of its own, so that what two hosts write at once meets only where
// they mean the same thing. Claims are made with compare-and-set against nothing, records
// against the index that was read; a change of several keys goes in transactions, each of
// which also checks that the lock is still ours, and the last of which bumps the revision.
// A change that needs several transactions can be seen half done. That is never misread:
// every key is whole, and whoever applies next writes what is missing.
package consul
