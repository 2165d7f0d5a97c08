package state

import "context"

// Target is something that holds objects and can be changed: the kernel, a store.
type Target interface {
	// Apply runs the ops of one wave, which need nothing of each other. It calls done once
	// for each op that it tried, with nil or with what went wrong; an op without a call was
	// not tried. After a failure it begins nothing new. The error is the first failure, or
	// why the target could not begin. done is called from one goroutine at a time.
	Apply(ctx context.Context, wave []Op, done func(i int, err error)) error
}

// RecordStore is a place for claims and records: a local file, Consul.
type RecordStore interface {
	Target
	// Snapshot reads all of the stack's claims and records, consistently.
	Snapshot(context.Context) (World, error)
	// Lock keeps other writers of the stack out until unlock is called. A lock that is held
	// is a *LockedError.
	Lock(ctx context.Context, info LockInfo) (unlock func() error, err error)
	Close() error
}

// LockWatcher is implemented by stores whose lock can be lost while it is held: it belongs
// to a server, which may be gone, or told to give it to another.
type LockWatcher interface {
	// Lost is closed when the lock that Lock took is lost; nil while none is held. Nothing
	// is written to the store from then on.
	Lost() <-chan struct{}
}

// LockInfo says who holds a lock, for the message to others.
type LockInfo struct {
	Operation string // "apply"
	Who       string // user@host
	PID       int
	Since     string // RFC 3339
}

// LockedError reports that somebody else holds the lock.
type LockedError struct {
	Path   string
	Holder LockInfo
	// ID names the lock for force-unlock; "" for one that ends with its process.
	ID string
}

func (e *LockedError) Error() string {
	text := "locking " + e.Path + ": held by " + e.Holder.String()
	if e.ID != "" {
		text += "; its ID is " + e.ID
	}
	return text
}

// LockLostError reports that a lock was lost while it was held: another may hold it now.
type LockLostError struct {
	Path string
	Err  error
}

func (e *LockLostError) Error() string {
	return "holding the lock " + e.Path + ": it is lost: " + e.Err.Error()
}

func (e *LockLostError) Unwrap() error { return e.Err }

// String is the holder in one line.
func (l LockInfo) String() string {
	if l.Operation == "" {
		return "another process"
	}
	return l.Who + " (cnmctl " + l.Operation + ", since " + l.Since + ")"
}
