package brokers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/doctor"
)

// The environment of the matrix.
const (
	envMode  = "FEDMQ_BROKERS"       // "full" or "quick"; empty: the test is skipped
	envDir   = "FEDMQ_BROKERS_DIR"   // directory of start-NAME scripts
	envWrite = "FEDMQ_BROKERS_WRITE" // file for the page; empty: it is printed
	envOnly  = "FEDMQ_BROKERS_ONLY"  // regular expression of broker/story, for the one who looks for a fault
)

// atOnce is how many federations run at a time; they mostly wait.
const atOnce = 6

// defaultPart is fedmq's default part size.
const defaultPart = 126 << 10

// everything is the broker that, as the embedded one, is put through every
// story in quick mode.
const everything = "mosquitto"

// raised are settings that lift a packet limit below the default part size, for
// the story whose model is too large for such parts.
var raised = map[string]string{"moquette": "netty.mqtt.message_size=268435455"}

// faults are failures that are a broker's own, by broker/story: they stand in
// the page and fail no run.
var faults = map[string]string{
	"moquette/client-id": "after takeovers this broker may close every CONNECT with that client id, without a CONNACK, until it is restarted: " +
		"see that no two clients have one id",
}

// names are those that a broker does not take, which the doctor has to find.
var names = map[string][]string{"rabbitmq": {".", "*"}, "nats": {"blanks"}}

// matrix collects what came out.
type matrix struct {
	program   string
	mode      string
	version   string
	reference map[string]string // by workload: the model of an undisturbed run
	slots     chan struct{}
	only      *regexp.Regexp

	mu   sync.Mutex
	rows []*row
}

// row is what came out on one broker.
type row struct {
	kind   kind
	skip   string
	report *doctor.Report
	cells  map[string]cell // by story
}

// cell is what came out of one story on one broker.
type cell struct {
	ok      bool
	reason  string // of a failure
	note    string
	seconds float64
}

func TestBrokers(t *testing.T) {
	mode := os.Getenv(envMode)
	if mode == "" {
		t.Skip(envMode + " is not set; run \"make brokers\"")
	}
	if mode != "full" && mode != "quick" {
		t.Fatalf("%s=%q, want full or quick", envMode, mode)
	}
	program, err := filepath.Abs("../../bin/fedmq")
	if err != nil {
		t.Fatal(err)
	}
	m := &matrix{program: program, mode: mode, version: commit(t), reference: map[string]string{}, slots: make(chan struct{}, atOnce)}
	if m.only, err = regexp.Compile(os.Getenv(envOnly)); err != nil {
		t.Fatalf("%s: %v", envOnly, err)
	}
	kinds := m.kinds(t)
	t.Run("reference", m.references)
	if t.Failed() {
		return
	}
	t.Run("brokers", func(t *testing.T) {
		for _, k := range kinds {
			m.rows = append(m.rows, &row{kind: k, cells: map[string]cell{}})
		}
		for _, r := range m.rows {
			t.Run(r.kind.name, func(t *testing.T) {
				t.Parallel()
				m.broker(t, r)
			})
		}
	})
	m.publish(t)
}

// kinds are the embedded broker and whatever the directory can start.
func (m *matrix) kinds(t *testing.T) []kind {
	t.Helper()
	kinds := []kind{{name: "embedded", title: "fedmq broker (embedded)", program: m.program}}
	dir := os.Getenv(envDir)
	scripts, err := filepath.Glob(filepath.Join(dir, "start-*"))
	if err != nil {
		t.Fatal(err)
	}
	if dir == "" || len(scripts) == 0 {
		t.Logf("%s=%q has no start-NAME scripts: only the embedded broker runs", envDir, dir)
		return kinds
	}
	for _, s := range scripts {
		name := strings.TrimPrefix(filepath.Base(s), "start-")
		kinds = append(kinds, kind{name: name, title: titleOf(dir, name), script: s, program: m.program})
	}
	return kinds
}

// titleOf is the name and version of a broker, from the table of the
// directory's README.
func titleOf(dir, name string) string {
	b, _ := os.ReadFile(filepath.Join(dir, "README.md"))
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		if len(cells) > 2 && strings.TrimSpace(cells[1]) == "`start-"+name+"`" {
			return strings.TrimSpace(cells[2])
		}
	}
	return name
}

// references runs every workload undisturbed on the embedded broker.
func (m *matrix) references(t *testing.T) {
	for _, w := range []workload{small, large} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			b := &server{kind: kind{name: "embedded", program: m.program}, log: filepath.Join(t.TempDir(), "broker.log")}
			if err := b.up(t); err != nil {
				t.Fatal(err)
			}
			f := newFederation(t, m.program, b, "reference", w, defaultPart)
			if _, err := undisturbed(f); err != nil {
				t.Fatal(err)
			}
			o, err := f.check()
			if err != nil {
				t.Fatal(err)
			}
			m.mu.Lock()
			m.reference[w.name] = o.model
			m.mu.Unlock()
		})
	}
}

// broker examines one broker and runs its stories.
func (m *matrix) broker(t *testing.T, r *row) {
	shared := &server{kind: r.kind, log: filepath.Join(t.TempDir(), "broker.log")}
	switch err := shared.up(t); {
	case errors.Is(err, errSkip):
		r.skip = err.Error()
		t.Skip(r.skip)
	case err != nil:
		r.skip = err.Error()
		t.Fatal(err)
	}
	var err error
	if r.report, err = m.examine(shared); err != nil {
		r.skip = err.Error()
		t.Fatal(err)
	}
	if want := names[r.kind.name]; !slices.Equal(r.report.Names, want) {
		t.Errorf("the doctor finds that it takes no names with %q, want %q", r.report.Names, want)
	}
	for _, s := range stories {
		if !m.wanted(r.kind, s) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			m.slots <- struct{}{}
			defer func() { <-m.slots }()
			m.story(t, r, s, shared)
		})
	}
}

// wanted tells whether a story runs on a broker.
func (m *matrix) wanted(k kind, s story) bool {
	if !m.only.MatchString(k.name + "/" + s.name) {
		return false
	}
	return m.mode == "full" || s.quick || k.script == "" || k.name == everything
}

// examine runs fedmq doctor; its advice is what the stories are set to.
func (m *matrix) examine(b *server) (*doctor.Report, error) {
	cmd := exec.Command(m.program, "doctor", "--json", b.url())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("fedmq doctor: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	var r doctor.Report
	return &r, json.Unmarshal(out, &r)
}

// story runs one story and enters its cell.
func (m *matrix) story(t *testing.T, r *row, s story, shared *server) {
	began := time.Now()
	note, err := m.tell(t, r, s, shared)
	c := cell{ok: err == nil, note: note, seconds: time.Since(began).Seconds()}
	if fault := faults[r.kind.name+"/"+s.name]; err != nil && fault != "" {
		c.reason = fault
		t.Log(err)
	} else if err != nil {
		c.reason, _, _ = strings.Cut(err.Error(), "\n")
		t.Error(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.cells[s.name] = c
}

func (m *matrix) tell(t *testing.T, r *row, s story, shared *server) (note string, err error) {
	b, partSize, workaround := shared, r.report.Advice.PartSize, ""
	if s.roomy && partSize < defaultPart && raised[r.kind.name] != "" {
		s.own, partSize, workaround = true, defaultPart, raised[r.kind.name]
		note = "with " + workaround
	}
	if s.own {
		b = &server{kind: r.kind, log: filepath.Join(t.TempDir(), "broker.log")}
		if s.kept {
			b.data = filepath.Join(t.TempDir(), "data")
		}
		if workaround != "" {
			b.env = []string{"FEDMQ_BROKER_EXTRA=" + workaround}
		}
		if err := b.up(t); err != nil {
			return note, err
		}
	}
	f := newFederation(t, m.program, b, s.name, s.work, partSize)
	said, err := s.run(f)
	if note += said; err != nil {
		return note, err
	}
	o, err := f.check()
	if err == nil && !s.other && o.model != m.reference[s.work.name] {
		err = fmt.Errorf("ended with model %s, undisturbed it is %s", o.model, m.reference[s.work.name])
	}
	return note, err
}
