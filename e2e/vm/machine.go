package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cnmctl/cnmctl/e2e/vm/wire"
)

// Machine is what to boot.
type Machine struct {
	// Kernel is a directory with the file vmlinuz and the directory modules.
	Kernel string
	// Programs are the host's that the jobs call.
	Programs []string
	// Binaries and Copies are further files, and directories with all that is in them: path
	// in the machine → path here. Binaries bring the libraries that they are linked with.
	Binaries, Copies map[string]string
	Jobs             []wire.Job
	CPUs             int
	MemoryMB         int
}

// Listener hears of the jobs while they run.
type Listener struct {
	// Line is a line of a job's output.
	Line func(line string)
	// End has the empty string for a job that ended well.
	End func(why string)
}

// console is the file with the kernel's own messages, in the directory of a run.
const console = "console"

// Run boots the machine, with dir for its files, and returns when it is switched off. It
// is an error if a job did not end.
func (m *Machine) Run(ctx context.Context, dir string, l Listener) error {
	archive := filepath.Join(dir, "initramfs")
	if err := m.pack(archive); err != nil {
		return fmt.Errorf("packing the machine's files: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", m.flags(dir, archive)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	report, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting QEMU: %w", err)
	}
	ended, err := listen(report, l)
	if err != nil {
		cancel() // nobody reads on
	}
	err = errors.Join(err, cmd.Wait(), context.Cause(ctx))
	if err == nil && ended == len(m.Jobs) {
		return nil
	}
	last, _ := os.ReadFile(filepath.Join(dir, console))
	return fmt.Errorf("the machine ended after %d of %d jobs: %w: %s\nIts console:\n%s",
		ended, len(m.Jobs), err, complaint.String(), tail(string(last), 40))
}

// processor is the newest without AVX, whose wide registers are slow to emulate: what finds them
// copies memory with them.
const processor = "Westmere"

// flags are those of QEMU: no network, no disk, two serial lines, and emulation even where
// there is /dev/kvm, which may be there and not work.
func (m *Machine) flags(dir, archive string) []string {
	return []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", processor,
		"-smp", strconv.Itoa(m.CPUs), "-m", strconv.Itoa(m.MemoryMB),
		"-serial", "file:" + filepath.Join(dir, console), "-serial", "stdio",
		"-kernel", filepath.Join(m.Kernel, "vmlinuz"), "-initrd", archive,
		"-append", "console=ttyS0 panic=-1 quiet mitigations=off no5lvl nokaslr cryptomgr.notests=1 tsc=reliable apparmor=0",
	}
}

// pack writes all files of the machine into an archive.
func (m *Machine) pack(path string) error {
	i, err := newImage(path)
	if err != nil {
		return err
	}
	return errors.Join(m.fill(i), i.close())
}

func (m *Machine) fill(i *image) error {
	if err := m.fillModules(i); err != nil {
		return err
	}
	jobs, err := json.Marshal(m.Jobs)
	if err != nil {
		return err
	}
	if err := i.data(wire.JobsFile, jobs, 0o644); err != nil {
		return err
	}
	if err := i.programs(m.Programs...); err != nil {
		return err
	}
	for path, from := range m.Binaries {
		if err := i.program(path, from); err != nil {
			return err
		}
	}
	for path, from := range m.Copies {
		if err := i.copy(path, from); err != nil {
			return err
		}
	}
	return i.dir("/var/lib")
}

func (m *Machine) fillModules(i *image) error {
	// The folders of a package's tree: modules/6.1.0-56-cloud-amd64/kernel/net/…
	roots, err := filepath.Glob(filepath.Join(m.Kernel, "modules", "*", "kernel"))
	if err != nil || len(roots) != 1 {
		return fmt.Errorf("looking for modules below %s: %v %w", m.Kernel, roots, err)
	}
	all, err := readModules(roots[0])
	if err != nil {
		return err
	}
	table, files := all.choose()
	for _, file := range files {
		if err := i.copy(filepath.Join(moduleDir, file), filepath.Join(roots[0], file)); err != nil {
			return err
		}
	}
	return i.data(wire.ModulesFile, []byte(table), 0o644)
}

// listen reads what the guest tells until it is switched off, and counts the jobs that
// ended.
func listen(r io.Reader, l Listener) (ended int, err error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if e, ok := wire.Parse(line); ok {
			if e.Ended {
				ended++
				l.End(e.Why)
			}
		} else if line != "" {
			l.Line(line)
		}
		if errors.Is(err, io.EOF) {
			return ended, nil
		}
		if err != nil {
			return ended, err
		}
	}
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
