package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// dockerDir is where tools/prepare unpacks Docker.
const dockerDir = "../bin/docker"

// needDocker checks that there is a Docker for a script that wants the real one. Where it is not
// unpacked, a quick test is skipped, and any other fails: what is not tested must be seen.
func needDocker(t *testing.T, script string) {
	t.Helper()
	if filepath.Base(script) != "dockerd.txtar" {
		return
	}
	_, err := os.Stat(filepath.Join(dockerDir, "dockerd"))
	switch {
	case err == nil:
	case testing.Short():
		t.Skipf("needs Docker in bin/docker, where tools/prepare unpacks it: %v", err)
	default:
		t.Fatalf("needs Docker in bin/docker, where tools/prepare unpacks it: %v", err)
	}
}

// dockerGroups is the control group of the containers, which is the one thing of them that
// is not in the script's own machine.
const dockerGroups = "cnmctl-e2e"

// dockerd starts Docker's engine, of the script's own: with containers that have no network,
// and without rules, bridges or a service. Beside it is the image "box", in which there is
// sleep.
func dockerd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 0, "dockerd")
	dir, err := filepath.Abs(dockerDir)
	ts.Check(err)
	ts.Setenv("PATH", dir+":"+ts.Getenv("PATH"))
	ts.Setenv("DOCKER_HOST", "unix:///run/docker.sock")
	const groups = "/sys/fs/cgroup"
	ts.Check(syscall.Mount("cgroup2", groups, "cgroup2", 0, ""))
	cmd := exec.Command(filepath.Join(dir, "dockerd"), "--iptables=false", "--ip6tables=false", "--bridge=none",
		"--storage-driver=vfs", "--cgroup-parent=/"+dockerGroups, "--exec-root=/run/docker", "--pidfile=/run/docker.pid",
		"--data-root=/var/lib/docker", "--host=unix:///run/docker.sock")
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"), "LD_LIBRARY_PATH="+dir)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it stops its containers
		<-ended
		left, _ := filepath.Glob(filepath.Join(groups, dockerGroups, "*"))
		for _, dir := range append(left, filepath.Join(groups, dockerGroups)) {
			_ = os.Remove(dir) // files of the kernel's cannot be removed, and go with the directory
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ts.Exec("docker", "version") != nil; time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			ts.Fatalf("dockerd ended: %v\n%s", err, out.String())
		default:
		}
		if time.Now().After(deadline) {
			ts.Fatalf("dockerd does not answer:\n%s", out.String())
		}
	}
	ts.Check(importBox(ts))
}

// importBox makes the image of sleep and the libraries that it wants.
func importBox(ts *testscript.TestScript) error {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		return err
	}
	libraries, err := exec.Command("ldd", sleep).Output()
	if err != nil {
		return err
	}
	files := []string{sleep}
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}
	tar := ts.MkAbs("box.tar")
	pack := exec.Command("tar", append([]string{"-chf", tar, "--absolute-names"}, files...)...)
	if text, err := pack.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(text)))
	}
	return ts.Exec("docker", "import", tar, "box")
}
