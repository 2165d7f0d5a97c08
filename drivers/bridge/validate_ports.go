package bridge

import (
	"fmt"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
)

// ports: what an endpoint publishes has to fit the network's way to the outside.
func (v *validator) ports(e *spec.Endpoint) {
	for i, p := range e.Ports {
		refuse := func(attr, summary, format string, args ...any) {
			v.diags = append(v.diags, drivers.Refuse(e.At(fmt.Sprintf("port[%d]%s", i, attr)), summary, fmt.Sprintf(format, args...)))
		}
		leads4, leads6 := p.Serves(false) && e.Expects(false), p.Serves(true) && e.Expects(true)
		translated := leads4 && v.Mode4 != routed || leads6 && v.Mode6 != routed
		written := func(attr string) bool { return e.Written(fmt.Sprintf("port[%d].%s", i, attr)) }
		switch {
		case v.Adopt && p.Address.IsLoopback():
			refuse(".address", "Loopback address on a bridge that is not ours", "To be reached by %s, a port needs a setting of the bridge (route_localnet), but %s adopts its bridge, which is never changed. Publish on another address of the host.", p.Address, v.n.Mark.Address)
		case translated || !leads4 && !leads6: // it leads nowhere after an error, which is said already
		case written("host"):
			refuse(".host", "Host port of a routed network", "%s is routed: nothing is translated, and %s is reached by its own address and port, which the port block opens. Remove host, or choose gateway_mode \"nat\".", v.n.Mark.Address, e.Mark.Address)
		case written("address"):
			refuse(".address", "Host address of a routed network", "%s is routed: nothing is translated, and %s is reached by its own address and port, which the port block opens. Remove address, or choose gateway_mode \"nat\".", v.n.Mark.Address, e.Mark.Address)
		}
	}
}
