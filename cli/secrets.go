package cli

import (
	"context"
	"errors"

	"github.com/cnmctl/cnmctl/state"
)

var errLocalSecrets = errors.New("the records are in a file of this host, which keeps no keys; encrypted networks need the store \"consul\"")

// secretsOf asks a store for the secrets of its keyring.
func secretsOf(store state.RecordStore) func(context.Context) (map[uint32]state.Secret, error) {
	return func(ctx context.Context) (map[uint32]state.Secret, error) {
		keeper, ok := store.(state.SecretStore)
		if !ok {
			return nil, errLocalSecrets
		}
		return keeper.Secrets(ctx)
	}
}
