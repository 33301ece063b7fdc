package main

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"go/build"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fedmq/fedmq/internal/proc"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/waits"
)

func TestMain(m *testing.M) {
	waits.More()
	testscript.Main(m, map[string]func(){
		"fedmq":       func() { os.Exit(run(os.Args[1:])) },
		"hometrainer": func() { os.Exit(homeTrainer(os.Args[1:])) },
		"linetrainer": func() { os.Exit(lineTrainer(os.Args[1:])) },
	})
}

// TestScript runs testdata/*.txtar: the commands as a person types them, each a
// process of its own.
func TestScript(t *testing.T) {
	t.Parallel()
	topics := readmeBlock(t, "<!-- output:topics -->")
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			vectors, err := filepath.Abs("../../testdata/vectors/wire")
			if err != nil {
				return err
			}
			port, err := proc.Port()
			if err != nil {
				return err
			}
			env.Setenv("VECTORS", vectors)
			env.Setenv("EXAMPLES", filepath.Join(vectors, "../../../examples"))
			env.Setenv("PORT", port)
			env.Setenv("GORACE", os.Getenv("GORACE"))
			if cache, err := os.UserCacheDir(); err == nil { // for scripts that run go
				env.Setenv("GOCACHE", filepath.Join(cache, "go-build"))
				env.Setenv("GOMODCACHE", cmp.Or(os.Getenv("GOMODCACHE"), filepath.Join(build.Default.GOPATH, "pkg", "mod")))
			}
			if dir := os.Getenv("FEDMQ_PYTHON"); dir != "" {
				env.Setenv("PATH", dir+string(filepath.ListSeparator)+env.Getenv("PATH"))
			}
			env.Setenv("PATH", env.Getenv("PATH")+string(filepath.ListSeparator)+"/usr/sbin") // of mosquitto
			if port, err = proc.Port(); err != nil {
				return err
			}
			env.Setenv("PAGE", port)
			if err := hivemq(env); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "readme-topics"), []byte(topics), 0o600)
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit": cmdExit, "expand": cmdExpand, "await": cmdAwait, "term": cmdTerm, "hup": cmdHup, "unhex": cmdUnhex, "genkey": cmdGenkey,
			"page": cmdPage, "plant": cmdPlant, "gencert": cmdGencert,
			"flip": cmdFlip, "changebyte": cmdChangebyte, "mkmodel": cmdMkmodel, "mklinear": cmdMklinear, "clear": cmdClear, "sub": cmdSub, "setport": cmdSetport, "auditlines": cmdAuditlines,
		},
	})
}

// The broker of example-hivemq.txtar: a start script in a directory, and the
// unpacked file RBAC extension.
const (
	envBrokers = "FEDMQ_BROKERS_DIR"
	envRBAC    = "FEDMQ_HIVEMQ_RBAC"
)

// hivemq sets HIVEMQ and RBAC, and where the broker's installation is kept.
func hivemq(env *testscript.Env) error {
	env.Setenv("RBAC", os.Getenv(envRBAC))
	if cache, err := os.UserCacheDir(); err == nil {
		env.Setenv("FEDMQ_BROKERS_CACHE", cmp.Or(os.Getenv("FEDMQ_BROKERS_CACHE"), filepath.Join(cache, "fedmq-brokers")))
	}
	script, err := filepath.Abs(filepath.Join(os.Getenv(envBrokers), "start-hivemq"))
	env.Setenv("HIVEMQ", script)
	return err
}

// condition knows race: that the commands run under the race detector, where a script has
// time for goroutines that no other has (internal/racing); python:NAME: that python3, in the directory that
// FEDMQ_PYTHON names or else in the PATH, has numpy and the module; hivemq and
// rbac: that the broker can be started, and has its access list.
func condition(cond string) (bool, error) {
	switch cond {
	case "race":
		return racing.On, nil
	case "hivemq":
		_, err := os.Stat(filepath.Join(os.Getenv(envBrokers), "start-hivemq"))
		return err == nil && os.Getenv(envBrokers) != "", nil
	case "rbac":
		return os.Getenv(envRBAC) != "", nil
	}
	module, ok := strings.CutPrefix(cond, "python:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	python := filepath.Join(os.Getenv("FEDMQ_PYTHON"), "python3")
	if os.Getenv("FEDMQ_PYTHON") == "" {
		python = "python3"
	}
	return exec.Command(python, "-c", "import numpy, "+module).Run() == nil, nil
}

// cmdSetport puts the script's port in the place of 1883 in a folder's
// configurations: setport folder.
func cmdSetport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: setport folder")
	}
	paths, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.yaml"))
	ts.Check(err)
	for _, path := range paths {
		text := strings.ReplaceAll(ts.ReadFile(path), ":1883", ":"+ts.Getenv("PORT"))
		ts.Check(os.WriteFile(path, []byte(text), 0o600))
	}
}

// cmdExit runs a program and wants its exit code: exit 2 fedmq frob.
func cmdExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = code.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// cmdExpand puts environment variables into files: expand file...
func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand file...")
	}
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// cmdAwait waits for a file to exist (await file NAME), for somebody to listen
// on the script's port (await port) or that of its page (await page), for a file
// that nobody has written to for a second (await idle NAME: a broker has on disk
// what it was sent), for a process that works in a data directory (await locked DIR), or for a
// program to print something (await text TEXT PROGRAM ARGS...).
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	var there func() bool
	switch {
	case !neg && len(args) == 2 && args[0] == "file":
		there = func() bool {
			_, err := os.Stat(ts.MkAbs(args[1]))
			return err == nil
		}
	case !neg && len(args) == 2 && args[0] == "idle":
		there = func() bool {
			info, err := os.Stat(ts.MkAbs(args[1]))
			return err == nil && time.Since(info.ModTime()) > time.Second
		}
	case !neg && len(args) == 1 && (args[0] == "port" || args[0] == "page"):
		there = func() bool {
			c, err := net.Dial("tcp", "127.0.0.1:"+ts.Getenv(strings.ToUpper(args[0])))
			return err == nil && c.Close() == nil
		}
	case !neg && len(args) == 2 && args[0] == "locked":
		there = func() bool { return locked(ts.MkAbs(args[1])) }
	case !neg && len(args) > 2 && args[0] == "text":
		there = func() bool {
			return ts.Exec(args[2], args[3:]...) == nil && strings.Contains(ts.ReadFile("stdout"), args[1])
		}
	case !neg && len(args) == 3 && args[0] == "answer":
		there = func() bool { return strings.Contains(answerOf("http://127.0.0.1:"+ts.Getenv("PAGE")+args[1]), args[2]) }
	default:
		ts.Fatalf("usage: await file name | await idle name | await locked dir | await port | await page | await answer path text | await text text program [args...]")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	give := time.After(30 * time.Second)
	for !there() {
		select {
		case <-tick.C:
		case <-give:
			ts.Fatalf("waited 30 s for %s", strings.Join(args, " "))
		}
	}
}

// answerOf is status and body of a page, "" without one.
func answerOf(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return ""
	}
	b, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return ""
	}
	return resp.Status + "\n" + string(b)
}

// cmdTerm sends SIGTERM to a background command whose arguments begin with
// these: term site -c a.yaml.
func cmdTerm(ts *testscript.TestScript, neg bool, args []string) {
	signalTo(ts, neg, args, syscall.SIGTERM)
}

// cmdHup tells a command that a terminal has hung up.
func cmdHup(ts *testscript.TestScript, neg bool, args []string) {
	signalTo(ts, neg, args, syscall.SIGHUP)
}

func signalTo(ts *testscript.TestScript, neg bool, args []string, sig syscall.Signal) {
	for _, cmd := range ts.BackgroundCmds() {
		if !neg && len(cmd.Args) > len(args) && slices.Equal(cmd.Args[1:len(args)+1], args) {
			ts.Check(cmd.Process.Signal(sig))
			return
		}
	}
	ts.Fatalf("nothing runs with the arguments %q", args)
}

// cmdUnhex writes the message of a wire vector as bytes: unhex vector.txt file.
func cmdUnhex(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unhex vector file")
	}
	_, body, _ := strings.Cut(ts.ReadFile(args[0]), "\n\n")
	b, err := hex.DecodeString(strings.Join(strings.Fields(body), ""))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o600))
}

// cmdGenkey makes Ed25519 keys as openssl does: genkey name... writes name.pem
// and name.pub.
func cmdGenkey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: genkey name...")
	}
	for _, name := range args {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		ts.Check(err)
		der, err := x509.MarshalPKCS8PrivateKey(private)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
		der, err = x509.MarshalPKIXPublicKey(public)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(name+".pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	}
}
