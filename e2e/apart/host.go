package apart

import (
	"bufio"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Host is one of several hosts on this machine: a process with network, mounts and name of
// its own, whose eth0 is on one switch with the others'.
type Host struct {
	Name string
	// Address is that of eth0: 10.99.0.10 for the first host, and so on.
	Address string
	holder  *exec.Cmd
}

// furnish is what makes a host of a process. Its directories are its own, like its kernel.
const furnish = `
mount --make-rprivate / && mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run
mkdir -p /etc/netns && mount -t tmpfs tmpfs /etc/netns && mount -t tmpfs tmpfs /var/lib
echo $1 >/proc/sys/kernel/hostname
ip link set lo up && echo ready && exec sleep infinity
`

// Switch makes what hosts are plugged into, with 10.99.0.1 for this machine itself.
func Switch() error {
	return shell("ip link add under type bridge mcast_snooping 0 && ip link set under up && ip address add 10.99.0.1/24 dev under")
}

// NewHost makes the host with a number, and plugs it in. It lives until Close.
func NewHost(name string, number int) (*Host, error) {
	h := &Host{Name: name, Address: fmt.Sprintf("10.99.0.%d", 10+number)}
	h.holder = exec.Command("sh", "-ec", furnish, "sh", name)
	h.holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS}
	var wrong strings.Builder
	h.holder.Stderr = &wrong
	out, err := h.holder.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.holder.Start(); err != nil {
		return nil, err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		h.Close()
		return nil, fmt.Errorf("furnishing host %s: %w: %s", name, err, &wrong)
	}
	err = shell(fmt.Sprintf(`ip link add up-%[1]s type veth peer name eth0 netns %[2]d && ip link set up-%[1]s master under up
		nsenter --target %[2]d --net sh -c "ip link set eth0 up && ip address add %[3]s/24 dev eth0 && ip route add default via 10.99.0.1"`,
		name, h.PID(), h.Address))
	if err != nil {
		h.Close()
	}
	return h, err
}

// PID is the process that holds the host's namespaces.
func (h *Host) PID() int { return h.holder.Process.Pid }

// Command is exec.Command for a program on the host, called in a folder.
func (h *Host) Command(dir, name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", strconv.Itoa(h.PID()), "--net", "--mount", "--uts",
		"sh", "-c", `cd "$0" && exec "$@"`, dir, name}, args...)...)
}

// Close ends the host with all that its kernel holds. Who runs on it keeps it alive.
func (h *Host) Close() {
	_ = h.holder.Process.Kill() // it may have ended
	_ = h.holder.Wait()
	_ = shell("ip link del up-" + h.Name) // it goes by itself when the kernel gets to it
}

func shell(script string) error {
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, out)
	}
	return nil
}
