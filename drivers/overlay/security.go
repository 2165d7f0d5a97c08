package overlay

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// security is how packets to and from the other hosts of the network are encrypted. All
// encrypted networks of the stack have the same between two hosts. There are states for each
// key that is good, so that what is under way when the keys change is still understood.
func (n network) security() []state.Object {
	here := n.vtep(n.Host)
	if !here.IsValid() {
		return nil
	}
	var objects []state.Object
	seen := map[netip.Addr]bool{}
	for _, e := range n.Away {
		there := n.vtep(e.Host)
		if !there.IsValid() || seen[there] {
			continue
		}
		seen[there] = true
		for _, generation := range n.Keyring.Generations() {
			objects = append(objects,
				state.NewIPsecState(n.Stack, state.Host, here, there, generation),
				state.NewIPsecState(n.Stack, state.Host, there, here, generation))
		}
		objects = append(objects, state.IPsecPolicy{
			Place: state.Host, Src: here, Dst: there, SPI: state.SPI(n.Stack, here, there, n.Keyring.Sending),
			Form: state.IPsecForm, Mark: state.Owner{Stack: n.Stack},
		})
	}
	return objects
}

// securityRules have the network's packets encrypted, and drop those that are not, whatever
// else there is or is not: those that leave without the policy or its state, and those that
// come from others than the stack's own states.
func (n network) securityRules() []drivers.Rules {
	own := state.RuleOwner(n.Network.Mark.Address)
	mark, drop := state.IPsecMark(n.Stack), state.Statement{Verb: state.Drop}
	var encrypt, encrypted, decrypted []state.FilterRule
	for _, vni := range n.Network.VNIs[:segments(n.Network)] {
		rule := func(do state.Statement, more ...state.Match) state.FilterRule {
			packets := []state.Match{state.ToPort("udp", n.Port), state.VNIIs(vni)}
			return state.FilterRule{Matches: append(packets, more...), Do: do, Owner: own}
		}
		encrypt = append(encrypt, rule(state.MarkWith(mark)))
		encrypted = append(encrypted, rule(drop, state.InClear()))
		decrypted = append(decrypted, rule(state.Statement{Verb: state.Accept}, state.DecryptedWith(mark)))
		if n.vtep(n.Host).Is6() {
			decrypted = append(decrypted, rule(drop, state.Whole()))
		} else {
			decrypted = append(decrypted, rule(drop))
		}
	}
	return []drivers.Rules{
		{Chain: drivers.Encrypt, Rules: encrypt}, {Chain: drivers.Encrypted, Rules: encrypted}, {Chain: drivers.Decrypted, Rules: decrypted},
	}
}
