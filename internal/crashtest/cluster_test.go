//go:build fedmqtest

package crashtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/proc"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/model"
)

const (
	namespace  = "acme"
	task       = "crash"
	aggregator = "aggregator"
	broker     = "broker"
	patience   = 100 * time.Second // for anything that has to happen
)

// shape is what a federation of these tests looks like.
type shape struct {
	Params   int
	PartSize int
	Rounds   int
	Deadline time.Duration
	TrainMS  int
	Idle     bool   // with a fourth member that has no data and declines
	Sites    int    // instead of a, b and c
	Server   string // optimiser; default sgd
	Keep     string // updates and models that stay on disk: all, or none but the last
	Encoding string // of updates, "": dense
}

// members are the sites' names; the last one of an idle shape has no data.
func (s shape) members() []string {
	switch {
	case s.Sites > 0:
		all := make([]string, s.Sites)
		for i := range all {
			all[i] = fmt.Sprintf("s%02d", i+1)
		}
		return all
	case s.Idle:
		return []string{"a", "b", "c", "idle"}
	}
	return []string{"a", "b", "c"}
}

// quorum is how many updates a round needs.
func (s shape) quorum() int { return max(3, s.Sites/2) }

// cluster is a federation of processes in one directory.
type cluster struct {
	t      testing.TB
	shape  shape
	dir    string
	port   string
	watch  *watch
	ends   chan end      // processes that have ended
	spare  string        // the party that may still come to its crash point after the end of the task
	late   time.Duration // how long it took to be back when it did
	struck []time.Time   // random kills of the broker

	mu    sync.Mutex
	procs map[string]*proc.Process // that run
}

// end tells how a process ended.
type end struct {
	name   string
	killed bool // by SIGKILL
	err    error
	at     time.Time
}

// fedmq is the binary, built once with the crash points in it.
var fedmq = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fedmq-crash-")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "fedmq")
	out, err := exec.Command("go", "build", "-tags", "fedmqtest", "-o", name, "../../cmd/fedmq").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

func newCluster(t testing.TB, s shape) *cluster {
	t.Helper()
	port, err := proc.Port()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, shape: s, dir: t.TempDir(), port: port, ends: make(chan end, 100), procs: map[string]*proc.Process{}}
	schema, err := model.NewSchema(model.Spec{Name: "weight", DType: model.F32, Shape: []int{s.Params}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(c.dir, "init.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(model.New(schema).WriteSafetensors(f, nil), f.Close()); err != nil {
		t.Fatal(err)
	}
	n, keepModels := len(s.members()), -1
	if s.Keep == "none" {
		keepModels = 1
	}
	config := fmt.Sprintf(`broker: %s
namespace: %s
data_dir: agg
part_size: %d
tasks:
  - name: %s
    members: ["+"]
    rounds: %d
    start_when: %d
    quorum: %d
    deadline: %s
    model: {file: init.safetensors}
    keep_updates: %s
    keep_models: %d
    strategy: {server: %s}
    encoding: %s
`, c.url(), namespace, s.PartSize, task, s.Rounds, n, s.quorum(), s.Deadline, s.Keep, keepModels, cmp.Or(s.Server, "sgd"), cmp.Or(s.Encoding, "dense"))
	if err := os.WriteFile(filepath.Join(c.dir, "aggregator.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.killAll)
	return c
}

func (c *cluster) url() string { return "tcp://127.0.0.1:" + c.port }

// begin starts the broker, the watch and then the parties, each with its crash
// point, if it has one, but for those named by without.
func (c *cluster) begin(at map[string]string, without ...string) {
	c.t.Helper()
	c.watch = newWatch(c.t, c.url()) // it tries until there is a broker
	c.start(broker, at[broker])
	c.start(aggregator, at[aggregator])
	c.watch.until(time.Second, func() bool { return c.watch.epoch > 0 }) // a join that nobody hears costs 5 s
	for _, name := range c.shape.members() {
		if !slices.Contains(without, name) {
			c.start(name, at[name])
		}
	}
}

// start runs a party as a process, with a crash point or "".
func (c *cluster) start(name, at string, more ...string) {
	c.t.Helper()
	cmd, err := c.command(name, more)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd.Dir = c.dir
	cmd.Env = append(cmd.Env, os.Environ()...)
	cmd.Env = append(cmd.Env, crash.Env+"="+at, crash.Gauge+"="+filepath.Join(c.dir, name+".goroutines"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p, err := proc.Start(cmd, filepath.Join(c.dir, name+".log"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.procs[name] = p
	c.mu.Unlock()
	go func() {
		err := p.Err()
		c.mu.Lock()
		if c.procs[name] == p {
			delete(c.procs, name)
		}
		c.mu.Unlock()
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		c.ends <- end{name: name, err: err, at: time.Now(), killed: ok && status.Signaled() && status.Signal() == syscall.SIGKILL}
		c.watch.mu.Lock()
		defer c.watch.mu.Unlock()
		c.watch.wake()
	}()
}

func (c *cluster) command(name string, more []string) (*exec.Cmd, error) {
	bin, err := fedmq()
	if err != nil {
		return nil, err
	}
	switch name {
	case broker:
		return exec.Command(bin, append([]string{"broker", "--open", "--listen", "127.0.0.1:" + c.port, "--data-dir", "broker"}, more...)...), nil
	case aggregator:
		return exec.Command(bin, append([]string{"aggregator", "-c", "aggregator.yaml"}, more...)...), nil
	}
	sc := siteConfig{Broker: c.url(), Member: name, Dir: name, Samples: 10 * int(name[0]-'a'+1), TrainMS: c.shape.TrainMS}
	if name == "idle" {
		sc.Samples = 0
	}
	text, err := json.Marshal(sc)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = []string{siteEnv + "=" + string(text)}
	return cmd, nil
}

// signal sends a signal to a party that runs.
func (c *cluster) signal(name string, s syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.procs[name]; p != nil {
		p.Signal(s)
	}
}

// next waits for a process to end.
func (c *cluster) next() end {
	c.t.Helper()
	select {
	case e := <-c.ends:
		return e
	case <-time.After(patience):
		c.fail("no process ended")
		return end{}
	}
}

// stop ends a party politely.
func (c *cluster) stop(name string) {
	c.t.Helper()
	c.signal(name, syscall.SIGTERM)
	for {
		e := c.next()
		switch {
		case e.killed && e.name == c.spare:
			epoch, _ := c.watch.now()
			c.spare = ""
			c.start(e.name, "")
			c.late = c.recovered(e.name, e.at, epoch)
			if e.name == name {
				c.signal(name, syscall.SIGTERM)
			}
		case e.err != nil:
			c.fail(fmt.Sprintf("%s ended with %v", e.name, e.err))
		case e.name == name:
			return
		}
	}
}

// stopAll ends everybody politely, the broker last.
func (c *cluster) stopAll() {
	c.t.Helper()
	for _, name := range append(c.shape.members(), aggregator, broker) {
		c.stop(name)
	}
	c.watch.stop()
}

func (c *cluster) killAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.procs {
		p.Kill()
	}
}

// fail ends the test with the last lines of all logs.
func (c *cluster) fail(what string) {
	c.t.Helper()
	var b strings.Builder
	for _, name := range append([]string{aggregator, broker}, c.shape.members()...) {
		raw, err := os.ReadFile(filepath.Join(c.dir, name+".log"))
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
		fmt.Fprintf(&b, "--- %s\n%s\n", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	c.t.Fatalf("%s\n%s%s", what, c.watch.String(), b.String())
}
