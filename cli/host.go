package cli

import (
	"fmt"
	"os"
	"os/user"
)

// hostName is what this machine is called among the hosts of a cluster: -host, else
// CNMCTL_HOST, else its own name.
func hostName(flag string, getenv func(string) string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if name := getenv("CNMCTL_HOST"); name != "" {
		return name, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("finding this machine's name (-host gives it): %w", err)
	}
	return name, nil
}

// whoAmI is the person behind this run, for the lock's message to others.
func whoAmI(host string) string {
	name := "uid " + fmt.Sprint(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + host
}
