package brokers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodes start a NATS cluster of three, each with data of its own.
func nodes(t *testing.T) []*server {
	t.Helper()
	if os.Getenv(envMode) == "" {
		t.Skip(envMode + ` is not set; run "make brokers"`)
	}
	script := filepath.Join(os.Getenv(envDir), "start-nats")
	if _, err := os.Stat(script); err != nil {
		t.Skipf("%v", err)
	}
	program, err := filepath.Abs("../../bin/fedmq")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var list []*server
	var ports []string
	for i := range 3 {
		s := &server{
			kind: kind{name: "nats", script: script, program: program}, port: freePort(t),
			data: filepath.Join(dir, fmt.Sprint("node", i)), log: filepath.Join(dir, fmt.Sprintf("node%d.log", i)),
		}
		if err := os.Mkdir(s.data, 0o700); err != nil {
			t.Fatal(err)
		}
		list, ports = append(list, s), append(ports, s.port)
	}
	ready := make(chan error, len(list))
	for _, s := range list {
		s.env = []string{"FEDMQ_BROKER_CLUSTER=" + strings.Join(ports, " ")}
		go func() { ready <- s.up(t) }()
	}
	for range list {
		if err := <-ready; err != nil {
			if strings.Contains(err.Error(), errSkip.Error()) {
				t.Skip(err)
			}
			t.Fatal(err)
		}
	}
	return list
}

// A node of a cluster is killed in mid-round and comes back later: every party has
// the list of all addresses, goes on at another, and all rounds are committed.
func TestClusterLosesANode(t *testing.T) {
	list := nodes(t)
	dir := t.TempDir()
	write(t, dir, "data.csv", "x,y\n1,2\n2,3\n3,4\n")
	broker := func(first int) string {
		var urls []string
		for i := range list {
			urls = append(urls, list[(first+i)%len(list)].url())
		}
		return "broker: [" + strings.Join(urls, ", ") + "]\nnamespace: acme\n"
	}
	const rounds = 12
	write(t, dir, "aggregator.yaml", broker(0)+fmt.Sprintf(`data_dir: ./agg
tasks: [{name: t, members: ["+/x"], rounds: %d, start_when: 3, quorum: 3, deadline: 60s, model: {linear: {inputs: 1, outputs: 1}}, train: {lr: 0.01}}]
`, rounds))
	for i := range list {
		write(t, dir, fmt.Sprintf("site%d.yaml", i), broker(i)+fmt.Sprintf(`member: s%d/x
data_dir: ./s%d
tasks: [{name: t, trainer: {tabular: {train: data.csv, target: {column: y}, features: [{columns: [x]}]}}}]
`, i, i))
	}
	program := list[0].program
	agg := start(t, filepath.Join(dir, "agg.log"), program, "aggregator", "--until-done", "-c", filepath.Join(dir, "aggregator.yaml"))
	for i := range list {
		start(t, filepath.Join(dir, fmt.Sprintf("site%d.log", i)), program, "site", "--slow", "-c", filepath.Join(dir, fmt.Sprintf("site%d.yaml", i)))
	}
	records := filepath.Join(dir, "agg", "records", "t")
	committed := func(n int) func() bool {
		return func() bool {
			_, err := os.Stat(filepath.Join(records, fmt.Sprintf("%06d-1.json", n)))
			return err == nil
		}
	}
	if err := eventually(90*time.Second, "round 2", committed(2)); err != nil {
		t.Fatalf("%v: %s", err, agg.Tail())
	}
	time.Sleep(time.Second) // in the middle of a round
	node := list[0]         // where the aggregator is, and a site
	node.p.Kill()
	if err := eventually(2*time.Minute, "a round without the node", committed(5)); err != nil {
		t.Fatalf("%v: %s", err, agg.Tail())
	}
	if err := node.up(t); err != nil {
		t.Fatal(err)
	}
	select {
	case <-agg.Done():
	case <-time.After(3 * time.Minute):
		t.Fatalf("not done: %s", agg.Tail())
	}
	if agg.Code() != 0 {
		t.Errorf("the aggregator ended with %d: %s", agg.Code(), agg.Tail())
	}
	for r := 1; r <= rounds; r++ {
		if files, _ := filepath.Glob(filepath.Join(records, fmt.Sprintf("%06d-*.json", r))); len(files) == 0 {
			t.Errorf("round %d has no record", r)
		}
	}
}
