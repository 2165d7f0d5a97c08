package cli

import (
	"context"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func graphCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "graph",
		Usage: "Draw networks, sandboxes and the endpoints between them",
		Description: about(`Writes the topology of the configuration here, or with -stack of what that stack has, as a
graph for Graphviz or Mermaid, or as JSON.`,
			"cnmctl graph | dot -Tsvg > lab.svg", "cnmctl graph -format=mermaid", "cnmctl graph -stack=shop -format=json"),
		Flags: flags([]ucli.Flag{choice("format", "what to write", "dot", "mermaid", "json")},
			varFlags(), stackFlag(), hostFlag(), colorFlag()),
		Action: looking(env, graph),
	}
}

func graph(ctx context.Context, s *session) error {
	if err := s.arguments(0, 0); err != nil {
		return err
	}
	f := &flow{s: s}
	records, err := f.drawn(ctx)
	if err != nil {
		return err
	}
	switch s.String("format") {
	case "mermaid":
		return planner.Mermaid(s.say.text, records)
	case "json":
		return s.document(graphDocument(records))
	}
	return planner.DOT(s.say.text, records)
}

// drawn are the records to draw: those that a stack has, or those of the configuration,
// for which the machine need not be readable.
func (f *flow) drawn(ctx context.Context) (state.World, error) {
	if f.s.String("stack") != "" {
		err := f.find(ctx)
		return f.records, err
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	if err := f.open(); err == nil {
		if err := f.look(ctx); err != nil {
			f.s.log.Info("drawing without what is there", "error", err)
		}
	}
	if err := f.evaluate(ctx); err != nil {
		return nil, err
	}
	world := state.World{}
	r := drivers.RecordsOf(f.topology)
	for _, n := range r.Networks {
		world.Add(n)
	}
	for _, b := range r.Sandboxes {
		world.Add(b)
	}
	for _, e := range r.Endpoints {
		world.Add(e)
	}
	return world, nil
}

// graphNode is a network or sandbox, graphEdge an endpoint; an endpoint that is attached
// to nothing has no sandbox.
type graphNode struct {
	Address state.Address `json:"address"`
	Kind    state.Kind    `json:"kind"`
	Name    string        `json:"name"`
	Driver  string        `json:"driver,omitempty"`
	Subnets []string      `json:"subnets,omitempty"`
	Netns   string        `json:"netns,omitempty"`
}

type graphEdge struct {
	Address   state.Address `json:"address"`
	Network   state.Address `json:"network"`
	Sandbox   state.Address `json:"sandbox,omitempty"`
	Interface string        `json:"interface,omitempty"`
	IPv4      string        `json:"ipv4,omitempty"`
	IPv6      string        `json:"ipv6,omitempty"`
	MAC       string        `json:"mac,omitempty"`
}

// graphDocument is the graph for machines.
func graphDocument(records state.World) map[string]any {
	nodes, edges := []graphNode{}, []graphEdge{}
	for _, k := range records.Keys() {
		switch r := records[k].(type) {
		case state.Network:
			n := graphNode{Address: r.Mark.Address, Kind: k.Kind, Name: r.Name, Driver: r.Driver}
			for _, s := range r.Subnets {
				n.Subnets = append(n.Subnets, s.CIDR.String())
			}
			nodes = append(nodes, n)
		case state.Sandbox:
			nodes = append(nodes, graphNode{Address: r.Mark.Address, Kind: k.Kind, Name: r.Name, Netns: r.Netns})
		case state.Endpoint:
			e := graphEdge{Address: r.Mark.Address, Network: r.Network, Sandbox: r.Sandbox, Interface: r.Interface, MAC: r.MAC.String()}
			if r.IPv4.IsValid() {
				e.IPv4 = r.IPv4.String()
			}
			if r.IPv6.IsValid() {
				e.IPv6 = r.IPv6.String()
			}
			edges = append(edges, e)
		}
	}
	return map[string]any{"format_version": "1.0", "nodes": nodes, "edges": edges}
}
