package exec

import (
	"errors"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// sleeper is a process that has left every group.
func sleeper(t *testing.T, env ...string) (pid int, wait func() error) {
	t.Helper()
	cmd := osexec.Command("sleep", "600")
	cmd.Env, cmd.SysProcAttr = append(os.Environ(), env...), &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd.Process.Pid, cmd.Wait
}

// What a killed process has left is ended by the next in the directory, and
// nothing else; two at once there cannot be.
//
// Not in parallel: a process that another test forks holds this one's lock
// until it executes its program, and so a directory just given back.
func TestLeft(t *testing.T) {
	dir := t.TempDir()
	first, err := take(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = take(dir)
	wantError(t, err, "in use by another process", "data_dir of its own")
	_, ended := sleeper(t, first.environ()...)
	foreign, _ := sleeper(t, runVar+"="+strings.Repeat("0", 32))
	if err := first.file.Close(); err != nil { // as when the process is killed
		t.Fatal(err)
	}
	second, err := take(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := ended(); second.left != 1 || err == nil || err.Error() != "signal: killed" {
		t.Errorf("%d ended, %v", second.left, err)
	}
	if err := syscall.Kill(foreign, 0); err != nil {
		t.Errorf("the process of somebody else: %v", err)
	}
	if err := second.release(); err != nil {
		t.Error(err)
	}
	third, err := take(dir)
	if err != nil || third.left != 0 {
		t.Fatalf("%+v, %v", third, err)
	}
	if err := third.release(); err != nil {
		t.Error(err)
	}
}

// A child that has left the program's group ends with the trainer.
func TestLeftGroup(t *testing.T) {
	t.Parallel()
	if _, err := osexec.LookPath("setsid"); errors.Is(err, osexec.ErrNotFound) {
		t.Skip("there is no setsid")
	}
	cfg := config(t, "sh", "-c", `setsid sh -c 'echo $$ >pid.part; mv pid.part pid; exec sleep 600' >/dev/null 2>&1 & while [ ! -e pid ]; do sleep 0.01; done; echo '{"type":"hello","version":1,"samples":1}'; read hello; read end`)
	cfg.Dir = t.TempDir()
	tr, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(cfg.Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("it does not run: %v", err)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	wantGone(t, pid)
}
