package broker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/store"
)

// dirEnv makes the test binary a broker, see TestMain.
const dirEnv = "FEDMQ_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirEnv); dir != "" {
		fmt.Fprintln(os.Stderr, brokerProcess(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// brokerProcess serves until the process is killed; it prints its address.
func brokerProcess(dir string) error {
	b, err := New(Config{Open: true, TCP: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		return err
	}
	b.rest = 20 * time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- b.Run(neverDone{}) }()
	select {
	case <-b.Ready():
		fmt.Println(b.Addrs().TCP)
	case err := <-ended:
		return err
	}
	return <-ended
}

// neverDone is context.Background, which the linter wants only in main.
type neverDone struct{}

func (neverDone) Deadline() (time.Time, bool) { return time.Time{}, false }
func (neverDone) Done() <-chan struct{}       { return nil }
func (neverDone) Err() error                  { return nil }
func (neverDone) Value(any) any               { return nil }

// spawn starts a broker process and returns its address and how to kill it.
func spawn(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), dirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // says that it was killed
		}
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), kill
}

// What was retained for 50 ms is there after a kill -9, a large message when it has
// stood for a while, the newest of each topic, and what was cleared is not.
func TestRetainedSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addr, kill := spawn(t, dir)
	c := join(t, tcp(t, addr), connectOpts{id: "c"})
	model := strings.Repeat("weights", 100_000)
	c.publish("acme/_fl_v1/q/model", "old", true)
	c.publish("acme/_fl_v1/q/model", model, true)
	c.publish("acme/_fl_v1/q/record", "cleared", true)
	c.publish("acme/_fl_v1/q/record", "", true)
	c.publish("acme/_fl_v1/q/event", "not retained", false)
	for i := range 50 {
		c.publish(fmt.Sprintf("acme/_fl_v1/q/kpi/k%d", i), "1", true)
	}
	<-time.After(250 * time.Millisecond) // 50 ms is for a quiet disk
	kill()

	addr, _ = spawn(t, dir)
	c = join(t, tcp(t, addr), connectOpts{id: "c"})
	c.subscribe("#", 0)
	got := map[string]string{}
	for range 51 {
		topic, what := c.message()
		got[topic] = what
	}
	if got["acme/_fl_v1/q/model"] != model || len(got) != 51 {
		t.Errorf("got %d topics and a model of %d bytes", len(got), len(got["acme/_fl_v1/q/model"]))
	}
	if more := c.received(); len(more) != 0 {
		t.Errorf("more than retained: %.100q", more)
	}
}

func TestRetainedSurvivesStop(t *testing.T) {
	t.Parallel()
	cfg := plant(t)
	cfg.DataDir = t.TempDir()
	const state = "acme/berlin/line-1/_fl_v1/state"
	b, stop := run(t, cfg)
	site := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1"})
	site.publish(state, "online", true) // not waited for: the stop writes it
	stop()

	b, _ = run(t, cfg)
	agg := join(t, b.Conn("aggregator"), connectOpts{id: "aggregator"})
	agg.subscribe("acme/+/line-1/_fl_v1/state", 1)
	if topic, what := agg.message(); topic != state || what != "online" {
		t.Errorf("got %q on %s", what, topic)
	}
}

func TestDataDirInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, Config{Open: true, DataDir: dir})
	b, err := New(Config{Open: true, DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), filepath.Join(dir, retainedFile)) {
		t.Errorf("got %v", err)
	}
}
