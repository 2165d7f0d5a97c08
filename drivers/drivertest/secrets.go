package drivertest

import (
	"bytes"
	"context"

	"github.com/cnmctl/cnmctl/state"
)

// Secrets are those of the first generations of a keyring, as a store would tell them.
func Secrets(context.Context) (map[uint32]state.Secret, error) {
	secrets := map[uint32]state.Secret{}
	for generation := uint32(1); generation <= 3; generation++ {
		s, err := state.NewSecret(bytes.Repeat([]byte{byte(generation)}, state.SecretSize))
		if err != nil {
			return nil, err
		}
		secrets[generation] = s
	}
	return secrets, nil
}
