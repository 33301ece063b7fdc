package examples_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fedmq/fedmq/topics"
)

type flowNode struct {
	ID, Type, Z, Topic, Func, Broker string
	Wires                            [][]string
}

func flows(t *testing.T) (list []flowNode, raw []byte) {
	t.Helper()
	raw, err := os.ReadFile("node-red/flows.json")
	check(t, err)
	check(t, json.Unmarshal(raw, &list))
	return list, raw
}

// The flow subscribes to a watcher's topics, sends on an operator's, reads keys
// that are published, and every wire ends at a node.
func TestNodeRED(t *testing.T) {
	t.Parallel()
	said := watched(t)
	list, _ := flows(t)
	ids := map[string]bool{}
	for _, n := range list {
		ids[n.ID] = true
	}
	subscribed, functions := 0, ""
	for _, n := range list {
		for _, wire := range n.Wires {
			for _, to := range wire {
				if !ids[to] {
					t.Errorf("%s is wired to %s, which is no node", n.ID, to)
				}
			}
		}
		if n.Broker != "" && n.Type != "mqtt-broker" && !ids[n.Broker] {
			t.Errorf("%s has the broker %s, which is no node", n.ID, n.Broker)
		}
		if n.Type == "mqtt in" {
			subscribed++
			isWatchers(t, n.Topic)
			if !has(said, n.Topic, "timestamp_ms") && !has(said, n.Topic, "committed_ms") {
				t.Errorf("%s: nothing was published on %s", n.ID, n.Topic)
			}
		}
		functions += n.Func
	}
	if subscribed != 7 {
		t.Errorf("%d subscriptions", subscribed)
	}
	for _, m := range regexp.MustCompile(`\b(v|view)\.([a-z_]+)`).FindAllStringSubmatch(functions, -1) {
		if !slices.Contains([]string{"progress", "error", "pause"}, m[2]) && !has(said, "acme/#", m[2]) { // these come now and then
			t.Errorf("no message has %s", m[2])
		}
	}
	ns, err := topics.New("acme")
	check(t, err)
	owner, err := ns.Owner("", "events")
	check(t, err)
	if !strings.Contains(functions, `"`+owner.Command()+`"`) {
		t.Errorf("no command on %s", owner.Command())
	}
}

// TestNodeREDRuns imports the flow into Node-RED, installed in the directory
// that FEDMQ_NODE_RED names, watches a federation with it, and presses pause
// and resume.
func TestNodeREDRuns(t *testing.T) {
	dir := os.Getenv("FEDMQ_NODE_RED")
	if dir == "" {
		t.Skip("FEDMQ_NODE_RED is not set: make test-examples")
	}
	p := newPlant(t)
	base := startNodeRED(t, dir, p.url)
	eventually(t, time.Minute, "Node-RED's subscriptions", func() bool { return p.broker.Stats().Subscriptions >= 7 })
	p.federate(t, 1_000_000)
	known := func() string { return call(t, http.MethodGet, base+"/fedmq") }
	for _, want := range []string{
		`"aggregator":true`, `"kpi":{[^}]*"rmse":[0-9]`, `"event":"committed"`,
		`"well-02/sensors":{(?:{[^}]*}|[^{}])*"online":true`, `"round":{"schema":"fedmq.round.v1"`, `"record":{[^}]*"hash":"`,
	} {
		re := regexp.MustCompile(want)
		eventually(t, 20*time.Second, want, func() bool { return re.MatchString(known()) })
	}
	press := func(button, want string) {
		re := regexp.MustCompile(want)
		// Within 3 s of its connect an aggregator takes no command, and one
		// for a round that has gone by is refused: press again.
		eventually(t, 30*time.Second, button, func() bool {
			if re.MatchString(known()) {
				return true
			}
			call(t, http.MethodPost, base+"/inject/fedmq-"+button)
			return false
		})
	}
	press("pause", `"phase":"halted"[^}]*"reason":"paused"`)
	press("resume", `"phase":"(open|closing)"`)
}

// startNodeRED runs it on a free port until the test ends and returns its address.
func startNodeRED(t *testing.T, dir, broker string) string {
	t.Helper()
	home := t.TempDir()
	_, raw := flows(t)
	check(t, os.WriteFile(filepath.Join(home, "flows.json"), raw, 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	check(t, err)
	check(t, l.Close())
	host, mqttPort, err := net.SplitHostPort(strings.TrimPrefix(broker, "tcp://"))
	check(t, err)
	cmd := exec.Command("node", filepath.Join(dir, "node_modules/node-red/red.js"),
		"-u", home, "-p", port, "-D", "uiHost=127.0.0.1", "flows.json")
	cmd.Env = append(os.Environ(), "FEDMQ_HOST="+host, "FEDMQ_PORT="+mqttPort)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if strings.Contains(log.String(), "[error]") {
			t.Error("Node-RED logs errors")
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return "http://127.0.0.1:" + port
}

// call returns the body of the answer, "" without one.
func call(t *testing.T, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	check(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	b, err := io.ReadAll(resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	return string(b)
}
