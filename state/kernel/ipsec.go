package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// openXfrm opens a socket for IPsec in the namespace of the calling thread.
func (k *Kernel) openXfrm() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &conn{fd: fd, buffers: k.buffers}, nil
}

// encrypts reports that a table of the stack has rules about IPsec. They come before states
// and policies and go after them, so that nobody has to look for those where there are none:
// to ask would make the kernel load a module.
func encrypts(objects []state.Object) bool {
	for _, o := range objects {
		r, ok := o.(state.Ruleset)
		if !ok {
			continue
		}
		for _, c := range r.Chains {
			for _, rule := range c.Rules {
				for _, m := range rule.Matches {
					if m.Selector == state.RouteIPsec {
						return true
					}
				}
			}
		}
	}
	return false
}

// likeIPsec reports that one of the worlds has states or policies.
func likeIPsec(worlds []state.World) bool {
	for _, w := range worlds {
		for k := range w {
			if k.Kind == state.KindIPsecState || k.Kind == state.KindIPsecPolicy {
				return true
			}
		}
	}
	return false
}

// readIPsec reads the host's states and policies of the stack.
func (k *Kernel) readIPsec(ctx context.Context, w state.World) error {
	var states []liveState
	var policies []state.IPsecPolicy
	err := excursion(func() error {
		if err := enter(k.host); err != nil {
			return err
		}
		c, err := k.openXfrm()
		if isAny(err, unix.EPROTONOSUPPORT) {
			return nil // a kernel without
		}
		if err != nil {
			return err
		}
		defer c.close()
		mark := state.IPsecMark(k.stack)
		err = c.dump(ctx, xfrmGetState, nil, func() { states = states[:0] }, func(body []byte) {
			if s, ok := parseState(body); ok && s.reqid == mark {
				states = append(states, s)
			}
		})
		if err != nil {
			return err
		}
		return c.dump(ctx, xfrmGetPolicy, nil, func() { policies = policies[:0] }, func(body []byte) {
			if p, ok := parsePolicy(body, mark); ok {
				policies = append(policies, p)
			}
		})
	})
	if err != nil {
		return fmt.Errorf("reading IPsec states and policies: %w", err)
	}
	k.addStates(ctx, w, states)
	for _, p := range policies {
		p.Place, p.Mark = state.Host, state.Owner{Stack: k.stack}
		w.Add(p)
	}
	return nil
}

// secretsWithin is how long the store may take to tell the secrets to one who only reads:
// without them the kernel is read all the same.
const secretsWithin = 2 * time.Second

// unknownGenerations is how many generations a state may be of when the store cannot be
// asked which there are.
const unknownGenerations = 1000

// addStates adds the states, each with the generation of its key. Where nobody tells the
// secrets, the SPI has to do.
func (k *Kernel) addStates(ctx context.Context, w state.World, states []liveState) {
	if len(states) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, secretsWithin)
	defer cancel()
	secrets, err := k.secrets(ctx)
	if err != nil {
		secrets = make(map[uint32]state.Secret, unknownGenerations)
		for n := uint32(1); n <= unknownGenerations; n++ {
			secrets[n] = state.Secret{}
		}
	}
	for _, s := range states {
		s.Place, s.Mark = state.Host, state.Owner{Stack: k.stack}
		for generation, secret := range secrets {
			if state.SPI(k.stack, s.Src, s.Dst, generation) != s.SPI {
				continue
			}
			s.Generation = generation
			if err == nil && !s.madeOf(secret) {
				s.Generation = 0
			}
			break
		}
		w.Add(s.IPsecState)
	}
}

// madeOf reports that the state's key is made of the secret. A kernel that is locked down
// shows keys as zeros.
func (s liveState) madeOf(secret state.Secret) bool {
	key, err := s.Derive(secret)
	return err == nil && (string(key) == string(s.key) || string(s.key) == string(make([]byte, len(s.key))))
}

var errNoSecrets = errors.New("there is no store that keeps the secrets of encrypted networks")

func (k *Kernel) secrets(ctx context.Context) (map[uint32]state.Secret, error) {
	if k.askSecrets == nil {
		return nil, errNoSecrets
	}
	return k.askSecrets(ctx)
}

// writeIPsec makes, changes and deletes states and policies. Those that a wave makes need
// nothing of each other.
func (r *run) writeIPsec(ops []int) error {
	r.secured = true
	b := &batch{}
	sent, err := r.ipsecRequests(ops, b)
	if err != nil {
		return err
	}
	var results []error
	err = excursion(func() error {
		if err := enter(r.host); err != nil {
			return err
		}
		c, err := r.openXfrm()
		if err != nil {
			return err
		}
		defer c.close()
		results, err = c.send(noCancel, b)
		return err
	})
	if err != nil && len(results) == 0 && len(sent) > 0 {
		results, err = []error{err}, nil
	}
	for at, e := range results {
		r.report(sent[at], e)
	}
	return err
}

// ipsecRequests adds the requests of the ops that can be sent.
func (r *run) ipsecRequests(ops []int, b *batch) (sent []int, err error) {
	var secrets map[uint32]state.Secret
	for _, i := range ops {
		op := r.wave[i]
		switch o := op.Object().(type) {
		case state.IPsecState:
			if op.Action == state.Delete {
				delState(b, o)
				break
			}
			if secrets == nil {
				if secrets, err = r.secrets(r.ctx); err != nil {
					r.report(i, err)
					return sent, nil
				}
			}
			secret, ok := secrets[o.Generation]
			if !ok {
				r.report(i, fmt.Errorf("the store has no secret of generation %d; plan again", o.Generation))
				continue
			}
			key, err := o.Derive(secret)
			if err != nil {
				r.report(i, err)
				continue
			}
			newState(b, o, key)
		case state.IPsecPolicy:
			switch op.Action {
			case state.Create:
				setPolicy(b, o, xfrmNewPolicy)
			case state.Update:
				setPolicy(b, o, xfrmUpdatePolicy)
			default:
				delPolicy(b, o)
			}
		}
		sent = append(sent, i)
	}
	return sent, nil
}
