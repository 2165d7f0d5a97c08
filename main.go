// Command cnmctl builds container networks from a declarative configuration: networks,
// sandboxes and endpoints, planned against the live kernel and applied as planned.
package main

import (
	"os"

	"github.com/cnmctl/cnmctl/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, cli.Env{
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Getenv: os.Getenv,
	}))
}
