// Command veth-plugin is the plugin of the example: run it as root, then apply the example.
package main

import (
	"fmt"
	"os"

	"github.com/cnmctl/cnmctl/examples/remote/veth"
)

func main() {
	if err := veth.Serve("/run/docker/plugins", "local"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
