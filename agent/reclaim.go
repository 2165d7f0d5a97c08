package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// holds are the claims that a kernel bears witness to: the VNIs of tunnels, and the addresses
// of bridges and of the endpoints at their ports.
func holds(live state.World) (claims []state.Claim) {
	on := map[state.Key][]state.IPAddress{}
	for _, k := range live.KeysOf(state.KindAddress) {
		if a, is := live[k].(state.IPAddress); is && !a.Prefix.Addr().IsLinkLocalUnicast() && !a.LinkScope {
			link := state.LinkKey(a.Place, a.Link)
			on[link] = append(on[link], a)
		}
	}
	claim := func(network state.Address, l state.Link) {
		for _, a := range on[l.Key()] {
			claims = append(claims, state.Claim{Network: network, IP: a.Prefix.Addr(), Mark: l.Mark})
		}
	}
	for _, k := range live.KeysOf(state.KindLink) {
		l, is := live[k].(state.Link)
		if !is || l.Mark.Address == "" {
			continue
		}
		bridge, port := live[state.LinkKey(l.Place, l.Master)].(state.Link)
		switch {
		case l.Type == state.VXLAN:
			claims = append(claims, state.Claim{VNI: l.Tunnel.VNI, Mark: l.Mark})
		case l.Type == state.Bridge:
			claim(l.Mark.Address, l)
		case l.Type == state.Veth && port && bridge.Mark.Address != "":
			if end, is := live[state.LinkKey(l.Peer.Place, l.Peer.Name)].(state.Link); is && end.Mark == l.Mark {
				claim(bridge.Mark.Address, end)
			}
		}
	}
	return claims
}

// reclaimWithin is how long an agent tries to put back what its host holds; then it makes
// another pass first.
const reclaimWithin = 5 * time.Second

// lockedOut is when to try again while somebody has the lock.
const lockedOut = time.Second

// reclaim puts back into a store that has lost its data what this host holds, so that it is
// given to nobody else. It is no harm if it is there, and nothing is made of it but by an
// apply of the stack.
func (a *Agent) reclaim(ctx context.Context, failure error) {
	var lost *LostError
	a.lockedOut = false
	if !errors.As(failure, &lost) || len(lost.Held) == 0 {
		return
	}
	trying, cancel := context.WithTimeout(ctx, reclaimWithin)
	defer cancel()
	err := a.putBack(trying, lost.Held)
	var locked *state.LockedError
	if a.lockedOut = errors.As(err, &locked); a.lockedOut {
		a.Log.Info("putting back what this host holds, later", "lock", locked.Holder.String())
		return
	}
	if err != nil && ctx.Err() == nil {
		a.Log.Error("putting back what this host holds", "error", err)
	}
}

// putBack claims what is not claimed yet. What is another's by now is told of.
func (a *Agent) putBack(ctx context.Context, held []state.Claim) error {
	claimed, others, err := a.Store.Reclaim(ctx, held)
	for _, c := range others {
		ours := held[slices.IndexFunc(held, func(h state.Claim) bool { return h.Key() == c.Key() })]
		a.Log.Error("this host holds what another has claimed", "claim", c.String(), "of", ours.Mark.Address,
			"holder", c.Mark.Address, "stack", c.Mark.Stack)
	}
	if claimed > 0 {
		a.Log.Info("put back what this host holds", "claims", claimed)
	}
	return err
}
