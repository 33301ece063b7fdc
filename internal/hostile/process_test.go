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

	"github.com/fedmq/fedmq/internal/proc"
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
	*proc.Process
	log string
}

func (s *stage) start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(s.program, append(args, "--log-json")...)
	cmd.Dir, cmd.Env = s.dir, s.environment()
	log := filepath.Join(s.dir, name+".log")
	p, err := proc.Start(cmd, log)
	if err != nil {
		t.Fatal(err)
	}
	s.processes = append(s.processes, &process{p, log})
	return s.processes[len(s.processes)-1]
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
	dir := fmt.Sprintf("/proc/%d/", p.Cmd.Process.Pid)
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
