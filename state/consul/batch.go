package consul

import (
	"encoding/base64"

	"github.com/hashicorp/consul/api"
)

// limits is how much goes into one transaction.
type limits struct{ ops, bytes int }

var (
	// mostPerTransaction is what Consul takes since 1.14 if nobody told it otherwise: 128
	// operations in a body of 512 KiB, which holds some 390 kB of values, because they
	// travel in base64.
	mostPerTransaction = limits{128, 500_000}
)

// half is for a Consul that takes less: 64 operations before 1.14.
func (l limits) half() limits { return limits{l.ops / 2, l.bytes / 2} }

// split cuts changes into transactions, each with room for so many more operations.
func (l limits) split(changes []change, room int) [][]change {
	var parts [][]change
	ops, bytes := 0, 0
	for _, c := range changes {
		size := bodySize(c.ops)
		last := len(parts) - 1
		if last < 0 || ops+len(c.ops)+room > l.ops || bytes+size > l.bytes {
			parts, ops, bytes, last = append(parts, nil), 0, 0, last+1
		}
		parts[last] = append(parts[last], c)
		ops += len(c.ops)
		bytes += size
	}
	return parts
}

// bodySize is about what operations take in the body of a transaction.
func bodySize(ops api.TxnOps) (size int) {
	const frame, service = 200, 1000
	for _, op := range ops {
		if op.KV == nil {
			size += service
			continue
		}
		size += frame + 2*len(op.KV.Key) + len(op.KV.Namespace) + base64.StdEncoding.EncodedLen(len(op.KV.Value))
	}
	return size
}
