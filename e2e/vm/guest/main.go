// Command guest is the first process of the virtual machine: it furnishes the machine,
// runs the jobs that it finds in /vm/jobs, tells of them on the second serial line, and
// switches the machine off. The kernel calls it a second way, as /sbin/modprobe.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/cnmctl/cnmctl/e2e/vm/wire"
	"golang.org/x/sys/unix"
)

// report is where results go; the console has the kernel's own messages.
const report = "/dev/ttyS1"

func main() {
	switch {
	case filepath.Base(os.Args[0]) == "modprobe":
		exit(load(os.Args[len(os.Args)-1]))
	case os.Getpid() == 1:
		complain(boot())
		off()
	default:
		exit(work())
	}
}

func exit(err error) {
	complain(err)
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// complain tells the kernel's log, and with it the console: whom the kernel calls has no
// other place to write to.
func complain(err error) {
	if err == nil {
		return
	}
	if log, e := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); e == nil {
		defer log.Close()
		fmt.Fprintf(log, "<3>vm: %v\n", err) // KERN_ERR, which "quiet" lets through
	}
}

// boot furnishes the machine and has a child do the work, while this process, whose duty
// it is as the first, reaps whatever loses its parent.
func boot() error {
	if err := furnish(); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case pid == cmd.Process.Pid:
			return nil
		}
	}
}

func off() {
	unix.Sync()
	complain(unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
}

// work runs the jobs one after the other.
func work() error {
	line, err := raw(report)
	if err != nil {
		return err
	}
	defer line.Close()
	text, err := os.ReadFile(wire.JobsFile)
	if err != nil {
		return err
	}
	var jobs []wire.Job
	if err := json.Unmarshal(text, &jobs); err != nil {
		return err
	}
	for i, job := range jobs {
		cmd := exec.Command(job.Argv[0], job.Argv[1:]...)
		cmd.Dir, cmd.Env = job.Dir, append(os.Environ(), job.Env...)
		cmd.Stdout, cmd.Stderr = line, line
		fmt.Fprint(line, wire.Begin(i))
		err := cmd.Run()
		fmt.Fprint(line, wire.End(err))
	}
	return nil
}

// raw opens a serial line that leaves what is written to it alone.
func raw(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	settings, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err == nil {
		settings.Oflag &^= unix.OPOST
		err = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, settings)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("setting %s: %w", path, err)
	}
	return f, nil
}
