package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/cnmctl/cnmctl/plugin"
)

// scriptedPlugin answers as the plugin that is called as its first argument, with what is in
// the directory that is its second: <Method>.sh is run, then <Method>.json is the answer, or {}
// where there is none. Each call is a line in the file "calls" there.
func scriptedPlugin() {
	name, dir := os.Args[1], os.Args[2]
	if err := os.MkdirAll(plugin.Docker.Sockets, 0o755); err != nil {
		fail(err)
	}
	l, err := net.Listen("unix", filepath.Join(plugin.Docker.Sockets, name+".sock"))
	if err != nil {
		fail(err)
	}
	calls, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		fail(err)
	}
	fail(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(calls, "%s %s\n", r.URL.Path, body)
		method := filepath.Join(dir, filepath.Ext(r.URL.Path)[1:])
		if _, err := os.Stat(method + ".sh"); err == nil {
			if out, err := exec.Command("sh", "-e", method+".sh").CombinedOutput(); err != nil {
				fmt.Fprintf(w, `{"Err": %q}`, out)
				return
			}
		}
		text, err := os.ReadFile(method + ".json")
		if err != nil {
			text = []byte("{}")
		}
		_, _ = w.Write(text)
	})))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
