package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	ucli "github.com/urfave/cli/v2"
)

// inventoryCommand is a command for one kind of thing that the store holds.
func inventoryCommand(env Env, kind, about string, list func(context.Context, *session, *inventory) (table, error), more ...*ucli.Command) *ucli.Command {
	return &ucli.Command{
		Name:        kind,
		Usage:       "List the " + plural(kind) + " that the store holds",
		Description: about,
		Subcommands: append([]*ucli.Command{{
			Name: "ls", Usage: "List the " + plural(kind) + " that the store holds", Description: about,
			Flags: flags(stackFlag(), []ucli.Flag{toggle("json", "write a JSON array")}),
			Action: looking(env, func(ctx context.Context, s *session) error {
				if err := s.arguments(0, 0); err != nil {
					return err
				}
				i, err := openInventory(ctx, s)
				if err != nil {
					return err
				}
				t, err := list(ctx, s, i)
				if err != nil {
					return err
				}
				if len(t.rows) == 0 && len(i.world) == 0 && !s.Bool("json") {
					s.say.note("There are no records of stack %s in %s.", i.stack, i.store)
				}
				return s.table(t)
			}),
		}}, more...),
	}
}

func networkCommand(env Env) *ucli.Command {
	return inventoryCommand(env, "network",
		about(`Looks at the networks of a stack, on whichever host: only the store is read, not the kernel.`,
			"cnmctl network ls", "cnmctl network ls -stack=shop -store=consul -json", "cnmctl network inspect front"),
		func(_ context.Context, _ *session, i *inventory) (table, error) { return i.networks(), nil },
		&ucli.Command{
			Name: "inspect", ArgsUsage: "NAME",
			Usage: "Show a network with its endpoints",
			Description: about(`Prints a network as a block of the language, and who is on it, with addresses and hosts. It may be
given by name or by address.`, "cnmctl network inspect front", "cnmctl network inspect -stack=shop -store=consul -json network.front"),
			Flags: flags(stackFlag(), []ucli.Flag{toggle("json", "write a JSON object")}),
			Action: looking(env, func(ctx context.Context, s *session) error {
				if err := s.arguments(1, 1); err != nil {
					return err
				}
				return inspectNetwork(ctx, s, s.Args().First())
			}),
		})
}

func endpointCommand(env Env) *ucli.Command {
	return inventoryCommand(env, "endpoint",
		about(`Looks at the endpoints of a stack, on whichever host: only the store is read, not the kernel. One
without a sandbox is published: it holds its name and address.`,
			"cnmctl endpoint ls", "cnmctl endpoint ls -stack=shop -store=consul -json"),
		func(_ context.Context, _ *session, i *inventory) (table, error) { return i.endpoints(""), nil })
}

func sandboxCommand(env Env) *ucli.Command {
	return inventoryCommand(env, "sandbox",
		about(`Looks at the sandboxes of a stack, on whichever host: only the store is read, not the kernel. Where
sandboxes are namespaces of somebody else, containers for example, the table says of those on this host what
each is at the moment, or why there is none.`,
			"cnmctl sandbox ls", "cnmctl sandbox ls -stack=shop -store=consul -json"),
		func(ctx context.Context, s *session, i *inventory) (table, error) {
			return i.sandboxes(s.found(ctx, i)), nil
		})
}

func hostCommand(env Env) *ucli.Command {
	return inventoryCommand(env, "host",
		about(`Looks at the hosts of a stack: where their tunnels end, whether their agents are alive, and which
revision of the records each has converged to.`,
			"cnmctl host ls", "cnmctl host ls -stack=shop -store=consul -json"),
		listHosts, hostRemoveCommand(env))
}

// plural is the word for several things of a kind.
func plural(kind string) string {
	if strings.HasSuffix(kind, "x") {
		return kind + "es"
	}
	return kind + "s"
}

// inspectNetwork prints one network.
func inspectNetwork(ctx context.Context, s *session, name string) error {
	i, err := openInventory(ctx, s)
	if err != nil {
		return err
	}
	n, err := i.network(name)
	if err != nil {
		return err
	}
	on := i.endpoints(n.Mark.Address)
	if s.Bool("json") {
		return s.document(map[string]any{"network": n, "endpoints": on.rows})
	}
	var blocks []liveBlock
	for _, o := range i.records.Networks {
		blocks = append(blocks, liveBlock{Address: o.Mark.Address, record: o})
	}
	s.say.line("%s", s.say.paint(faint, "# "+string(n.Mark.Address)))
	fmt.Fprint(s.say.text, newLabels(blocks).block(n))
	if len(on.rows) == 0 {
		s.say.line("\nNobody is on it.")
		return nil
	}
	s.say.line("")
	return s.table(on)
}

// table is a list for people, and for programs: each row has its columns by name.
type table struct {
	columns []string
	rows    []map[string]any
}

// add adds a row whose values are in the order of the columns.
func (t *table) add(values ...any) {
	row := make(map[string]any, len(values))
	for i, v := range values {
		row[t.columns[i]] = v
	}
	t.rows = append(t.rows, row)
}

// table prints the table, or writes it as JSON.
func (s *session) table(t table) error {
	if s.Bool("json") {
		if t.rows == nil {
			t.rows = []map[string]any{}
		}
		return s.document(t.rows)
	}
	w := tabwriter.NewWriter(s.say.text, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, strings.ToUpper(strings.ReplaceAll(strings.Join(t.columns, "\t"), "_", " ")))
	for _, row := range t.rows {
		cells := make([]string, len(t.columns))
		for i, c := range t.columns {
			cells[i] = cell(row[c])
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return nil
}

// cell is a value as text; "-" for nothing.
func cell(v any) string {
	var text string
	switch v := v.(type) {
	case nil:
	case []string:
		text = strings.Join(v, ",")
	case []uint32:
		text = strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ","), "[]")
	case bool:
		text = map[bool]string{true: "yes", false: "no"}[v]
	default:
		text = fmt.Sprint(v)
	}
	if text == "" {
		return "-"
	}
	return text
}
