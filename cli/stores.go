package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/local"
)

// The stores that there are.
const (
	storeLocal  = "local"
	storeConsul = "consul"
)

var errStoreOfConfiguration = errors.New("-store goes with -stack; the configuration here says where its records are")

// storeSettings reads TYPE[:PATH], as -store and -from have it; "" is the local store.
func storeSettings(text string) (spec.Store, error) {
	kind, path, _ := strings.Cut(cmp.Or(text, storeLocal), ":")
	if kind != storeLocal && kind != storeConsul {
		return spec.Store{}, fmt.Errorf("there is no store %q; it can be local or consul", kind)
	}
	return spec.Store{Type: kind, Config: map[string]string{"path": path}}, nil
}

// openStore opens the stack's store as the settings say, and speaks to nobody yet.
func (s *session) openStore(stack string, settings spec.Store) (store state.RecordStore, err error) {
	switch c := settings.Config; settings.Type {
	case storeLocal:
		store, err = local.Open(local.Options{Stack: stack, Path: c["path"]})
	case storeConsul:
		store, err = s.openConsul(stack, c)
	default:
		err = fmt.Errorf("opening the store of stack %s: this cnmctl has no store %q", stack, settings.Type)
	}
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, store)
	return store, nil
}

func (s *session) openConsul(stack string, c map[string]string) (*consul.Store, error) {
	host, err := hostName(s.String("host"), s.env.Getenv)
	if err != nil {
		return nil, err
	}
	return consul.Open(consul.Options{
		Stack: stack, Path: c["path"], Who: whoAmI(host),
		Address: c["address"], Scheme: c["scheme"], Datacenter: c["datacenter"], Namespace: c["namespace"],
		Token: c["token"], TokenFile: c["token_file"],
		CAFile: c["ca_file"], CertFile: c["cert_file"], KeyFile: c["key_file"],
		Silence: s.env.ConsulSilence,
	})
}
