package planner

import (
	"fmt"

	"github.com/cnmctl/cnmctl/state"
)

// ipsecState makes or deletes a state. Its key is not in a plan: whoever runs the script
// gives it in a variable that is called after the SPI.
func (s *script) ipsecState(op state.Op, x state.IPsecState) {
	id := fmt.Sprintf("src %s dst %s proto esp spi %#x", x.Src, x.Dst, x.SPI)
	if op.Action == state.Delete {
		s.line("%s xfrm state delete %s", ip(x.Place), id)
		return
	}
	key := fmt.Sprintf(`"0x${KEY_%08x:?set it to the key of 20 bytes, in hexadecimal}"`, x.SPI)
	s.line("%s xfrm state add %s reqid %d mode transport aead 'rfc4106(gcm(aes))' %s 128", ip(x.Place), id, state.IPsecMark(x.Mark.Stack), key)
}

// ipsecPolicy makes, changes or deletes a policy.
func (s *script) ipsecPolicy(op state.Op, p state.IPsecPolicy) {
	mark := state.IPsecMark(p.Mark.Stack)
	selector := fmt.Sprintf("src %s dst %s proto udp dir out mark %#x", p.Src, p.Dst, mark)
	if op.Action == state.Delete {
		s.line("%s xfrm policy delete %s", ip(p.Place), selector)
		return
	}
	s.line("%s xfrm policy update %s tmpl src %s dst %s proto esp spi %#x reqid %d mode transport", ip(p.Place), selector, p.Src, p.Dst, p.SPI, mark)
}
