package state

import (
	"context"
	"fmt"
	"strconv"
)

// Keyring says which secrets a stack's encrypted networks have: those of the generations
// First to Last are good for receiving, that of Sending is sent with. The secrets are the
// store's own business: it makes one for each new generation, forgets it with the
// generation, and gives it out by Secrets.
type Keyring struct {
	First, Last, Sending uint32
	Mark                 Owner
}

// KeyringKey is the key of the stack's keyring.
func KeyringKey() Key { return Key{KindKeyring, Store, string(KindKeyring)} }

// NewKeyring is the first keyring of a stack.
func NewKeyring(stack string) Keyring {
	return Keyring{First: 1, Last: 1, Sending: 1, Mark: Owner{Stack: stack}}
}

// Key is one for each stack.
func (k Keyring) Key() Key { return KeyringKey() }

// Owner is the stack.
func (k Keyring) Owner() Owner { return k.Mark }

// Needs is nothing.
func (k Keyring) Needs() []Key { return nil }

// Inside is nothing.
func (k Keyring) Inside() []Key { return nil }

// Attrs are numbers, no secrets.
func (k Keyring) Attrs() []Attr {
	return []Attr{strAttr("generations", k.span()), intAttr("sending", k.Sending)}
}

func (k Keyring) span() string {
	first := strconv.FormatUint(uint64(k.First), 10)
	if k.First == k.Last {
		return first
	}
	return first + "-" + strconv.FormatUint(uint64(k.Last), 10)
}

// Generations lists those that are good for receiving.
func (k Keyring) Generations() []uint32 {
	var all []uint32
	for n := k.First; n >= 1 && n <= k.Last; n++ {
		all = append(all, n)
	}
	return all
}

// Check says what is wrong with a keyring that was read.
func (k Keyring) Check() error {
	if k.First < 1 || k.Sending < k.First || k.Last < k.Sending || k.Last-k.First > 1 {
		return fmt.Errorf("a keyring with the generations %d to %d that sends with %d", k.First, k.Last, k.Sending)
	}
	return nil
}

// Rotated is the keyring after the next step of a rotation, and what the step is. First all
// hosts receive with the new key, then all send with it, then the old one goes.
func (k Keyring) Rotated() (next Keyring, doing string) {
	switch next = k; {
	case k.First == k.Last:
		next.Last++
		return next, fmt.Sprintf("receive with key %d", next.Last)
	case k.Sending == k.First:
		next.Sending = k.Last
		return next, fmt.Sprintf("send with key %d", next.Sending)
	default:
		next.First = k.Last
		return next, fmt.Sprintf("forget key %d", k.First)
	}
}

// Secret is what keys are made of. It prints as nothing that could be used.
type Secret struct{ bytes []byte }

// SecretSize is the size of a secret in bytes.
const SecretSize = 32

// NewSecret is a secret of the bytes.
func NewSecret(b []byte) (Secret, error) {
	if len(b) != SecretSize {
		return Secret{}, fmt.Errorf("a secret has %d bytes, not %d", SecretSize, len(b))
	}
	return Secret{b}, nil
}

// String hides the secret.
func (Secret) String() string { return "(secret)" }

// GoString hides the secret.
func (Secret) GoString() string { return "(secret)" }

// SecretStore is implemented by stores that keep secrets for their keyrings: those that
// several hosts share.
type SecretStore interface {
	// Secrets are those of the stack's keyring, by their generations.
	Secrets(context.Context) (map[uint32]Secret, error)
}
