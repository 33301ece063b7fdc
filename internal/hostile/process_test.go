package hostile

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// trainerPause is how long an honest site trains: long enough that no round is
// bound by the machine.
const trainerPause = 250 * time.Millisecond

// TestMain is the tests, or the trainer of a site.
func TestMain(m *testing.M) {
	if os.Getenv("FEDMQ_HOSTILE_TRAINER") != "" {
		if err := trainer(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// trainer gives every model back as it came (docs/spec/trainer.md).
func trainer(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m struct {
			Type       string
			ID         uint64
			Model, Out string
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return err
		}
		switch m.Type {
		case "hello":
			fmt.Fprintln(out, `{"type":"hello","version":1,"samples":100}`)
		case "train":
			time.Sleep(trainerPause)
			b, err := os.ReadFile(m.Model)
			if err == nil {
				err = os.WriteFile(m.Out, b, 0o600)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(out, `{"type":"done","id":%d}`+"\n", m.ID)
		}
	}
	return lines.Err()
}

// process is one of the program's, with its log in a file.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan error
}

func (s *stage) start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(s.program, append(args, "--log-json")...), log: filepath.Join(s.dir, name+".log"), done: make(chan error, 1)} // #nosec G204 -- the built program
	f, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.dir, f, f
	p.cmd.Env = s.environment()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait(); _ = f.Close() }()
	s.processes = append(s.processes, p)
	return p
}

// alive reports whether a process has not ended.
func (p *process) alive() bool {
	select {
	case err := <-p.done:
		p.done <- err
		return false
	default:
		return true
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
	p.done <- nil
}

func (p *process) text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (p *process) logBytes() int64 {
	info, err := os.Stat(p.log)
	if err != nil {
		return 0
	}
	return info.Size()
}

// peak is the most memory since the last call, in MiB (Linux; else 0).
func (p *process) peak() int {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	b, err := os.ReadFile(dir + "status")
	if err != nil {
		return 0
	}
	_ = os.WriteFile(dir+"clear_refs", []byte("5"), 0) // begins the peak anew
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n / 1024
		}
	}
	return 0
}
