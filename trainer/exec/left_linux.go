package exec

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// runFile names the run whose processes may be left when this process is
// killed; who trains in the directory holds its lock.
const runFile = "run"

// runVar is in the environment of every process of a run, and of no other: its
// value is random.
const runVar = "FEDMQ_RUN"

// claim is a directory that this process alone trains in.
type claim struct {
	file *os.File
	run  string
	left int // processes of an earlier run, ended
}

// take locks the directory and ends what an earlier process, which was killed, has
// left of its trainer.
func take(dir string) (_ *claim, err error) {
	c := &claim{}
	if c.file, err = os.OpenFile(filepath.Join(dir, runFile), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.file.Close())
		}
	}()
	if err := syscall.Flock(int(c.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%s is in use by another process (%w): every site wants a data_dir of its own", dir, err)
	}
	had, err := io.ReadAll(io.LimitReader(c.file, 64))
	if err != nil {
		return nil, err
	}
	c.left = endRun(string(had))
	var name [16]byte
	_, _ = rand.Read(name[:]) // never fails
	c.run = hex.EncodeToString(name[:])
	if err := c.file.Truncate(0); err != nil {
		return nil, err
	}
	_, err = c.file.WriteAt([]byte(c.run), 0)
	return c, err
}

// environ is what every process of the run has in its environment.
func (c *claim) environ() []string { return []string{runVar + "=" + c.run} }

// release ends what is left of the run, also what has left its process group,
// and gives the directory back.
func (c *claim) release() error {
	if c.file == nil {
		return nil
	}
	endRun(c.run)
	err := errors.Join(c.file.Truncate(0), c.file.Close())
	c.file = nil
	return err
}

// sweeps is how often the processes are looked through: one may start another
// meanwhile.
const sweeps = 5

// endRun kills the processes of a run and returns how many. A process is held by
// a descriptor before its environment is read: a number that is given anew never
// hits another. One that is still dying in the next sweep counts once.
func endRun(run string) int {
	if len(run) != 2*16 {
		return 0
	}
	mark, ended := []byte(runVar+"="+run), map[int]bool{}
	for range sweeps {
		before := len(ended)
		paths, _ := filepath.Glob("/proc/[1-9]*/environ") // no error but that of a pattern
		for _, path := range paths {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && endMarked(pid, path, mark) {
				ended[pid] = true
			}
		}
		if len(ended) == before {
			break
		}
	}
	return len(ended)
}

func endMarked(pid int, path string, mark []byte) bool {
	p, err := os.FindProcess(pid) // by descriptor
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }() // nothing is lost
	env, err := os.ReadFile(path)      // another user's, or gone: not ours
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(v, mark) {
			return p.Kill() == nil
		}
	}
	return false
}
