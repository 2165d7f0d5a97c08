package cli

import (
	"context"
	"errors"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// secretsWithin is how long Consul may take to say the secrets. Without them the kernel
// is read all the same, and what is there goes on.
const secretsWithin = 2 * time.Second

var errLocalSecrets = errors.New("the records are in a file of this host, which keeps no keys; encrypted networks need the store \"consul\"")

// secretsOf asks a store for the secrets of its keyring.
func secretsOf(store state.RecordStore) func(context.Context) (map[uint32]state.Secret, error) {
	return func(ctx context.Context) (map[uint32]state.Secret, error) {
		keeper, ok := store.(state.SecretStore)
		if !ok {
			return nil, errLocalSecrets
		}
		ctx, cancel := context.WithTimeout(ctx, secretsWithin)
		defer cancel()
		return keeper.Secrets(ctx)
	}
}
