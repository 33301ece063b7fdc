package brokers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/proc"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
)

const task = "line"

// members of every federation; the last one takes two seconds a round.
var members = []string{"a/line-1", "b/line-1", "c/line-1"}

// slow is the member that trains long enough for a fault to hit it.
const slow = 2

// workload is what a federation computes. Equal workloads end with equal bits,
// when the same members were counted.
type workload struct {
	name   string
	model  string // YAML
	train  string // likewise
	rounds int
	rows   int
	quorum int
}

var (
	small = workload{
		"small",
		"{mlp: {inputs: 2, hidden: [16], outputs: 1, task: regression, seed: 1}}",
		"{epochs: 4, batch: 16, lr: 0.02, momentum: 0.9}", 3, 60, len(members),
	}
	large = workload{
		"12 MB",
		"{mlp: {inputs: 2, hidden: [1730, 1730], outputs: 1, task: regression, seed: 1}}",
		"{lr: 1e-5, batch: 0}", 2, 4, len(members),
	}
)

// federation is an aggregator and its sites.
type federation struct {
	t        *testing.T
	program  string
	broker   *server
	ns       topics.Namespace
	dir      string
	work     workload
	partSize int
	agg      *proc.Process
	sites    []*proc.Process
}

// newFederation writes the files of a federation in a namespace of its own.
func newFederation(t *testing.T, program string, b *server, name string, w workload, partSize int) *federation {
	t.Helper()
	ns, err := topics.New(name)
	if err != nil {
		t.Fatal(err)
	}
	f := &federation{t: t, program: program, broker: b, ns: ns, dir: t.TempDir(), work: w, partSize: partSize, sites: make([]*proc.Process, len(members))}
	f.write("agg.yaml", fmt.Sprintf(`broker: %s
namespace: %s
client_id: %s-aggregator
data_dir: agg
part_size: %d
tasks:
  - name: line
    members: ["+/line-1"]
    rounds: %d
    start_when: %d
    quorum: %d
    deadline: 60s
    model: %s
    train: %s
    statistics: zscore
    keep_updates: all
`, b.url(), ns, ns, partSize, w.rounds, w.quorum, w.quorum, w.model, w.train))
	for i, m := range members {
		f.write(fmt.Sprintf("%d.yaml", i), fmt.Sprintf(`broker: %s
namespace: %s
client_id: %s
member: %s
data_dir: "%d"
tasks:
  - name: line
    trainer: {tabular: {train: %d.csv, target: {column: y}, features: [{columns: [x1, x2]}]}}
`, b.url(), ns, f.clientID(i), m, i, i))
		f.write(fmt.Sprintf("%d.csv", i), rows(i, w.rows))
	}
	return f
}

// rows are a site's data: the same in every run, others for every site.
func rows(site, n int) string {
	r := rand.New(rand.NewPCG(1, uint64(site)))
	var b strings.Builder
	b.WriteString("x1,x2,y\n")
	for range n {
		x1, x2 := r.NormFloat64()+float64(site), r.NormFloat64()
		fmt.Fprintf(&b, "%.4f,%.4f,%.4f\n", x1, x2, 2*x1-x2+0.5+0.1*r.NormFloat64())
	}
	return b.String()
}

func (f *federation) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *federation) clientID(site int) string { return fmt.Sprintf("%s-%d", f.ns, site) }

// startAggregator starts it, or starts it again.
func (f *federation) startAggregator() {
	f.t.Helper()
	f.agg = start(f.t, filepath.Join(f.dir, "agg.log"), f.program, "aggregator", "-c", filepath.Join(f.dir, "agg.yaml"), "--until-done")
}

// startSite starts a site, or starts it again.
func (f *federation) startSite(i int) {
	f.t.Helper()
	args := []string{"site", "-c", filepath.Join(f.dir, fmt.Sprintf("%d.yaml", i))}
	if i == slow {
		args = append(args, "--slow")
	}
	f.sites[i] = start(f.t, filepath.Join(f.dir, fmt.Sprintf("%d.log", i)), f.program, args...)
}

func (f *federation) startAll() {
	f.t.Helper()
	f.startAggregator()
	for i := range f.sites {
		f.startSite(i)
	}
}

// finish waits for the aggregator's end and ends the sites.
func (f *federation) finish(within time.Duration) error {
	select {
	case <-f.agg.Done():
	case <-time.After(within):
		return fmt.Errorf("not finished after %s\n%s", within, f.logs())
	}
	if f.agg.Code() != 0 {
		return fmt.Errorf("the aggregator ended with %d\n%s", f.agg.Code(), f.logs())
	}
	for i, s := range f.sites {
		if s == nil {
			continue
		}
		if s.Ended() {
			return fmt.Errorf("site %s ended by itself, with %d\n%s", members[i], s.Code(), s.Tail())
		}
		if s.Stop(); s.Code() != 0 {
			return fmt.Errorf("site %s ended with %d after SIGTERM\n%s", members[i], s.Code(), s.Tail())
		}
		f.sites[i] = nil
	}
	return nil
}

func (f *federation) logs() string {
	out := []string{f.agg.Tail(), f.broker.p.Tail()}
	for _, s := range f.sites {
		if s != nil {
			out = append(out, s.Tail())
		}
	}
	return strings.Join(out, "\n--- ")
}

// training waits until the slow site trains in a round, and for a while: what
// happens next happens in the middle of it.
func (f *federation) training(round uint64) error {
	m, err := f.ns.Member(members[slow], task)
	if err != nil {
		return err
	}
	var last []byte
	err = eventually(60*time.Second, fmt.Sprintf("training in round %d", round), func() bool {
		payload, err := f.read(m.Status(), 3*time.Second)
		var status struct {
			Phase    string
			Round    uint64
			Progress float64
		}
		last = payload
		return err == nil && json.Unmarshal(payload, &status) == nil && status.Phase == "training" &&
			status.Round >= round && status.Progress > 0
	})
	if err != nil {
		return fmt.Errorf("%w; last status %q\n%s", err, last, f.logs())
	}
	return f.died()
}

// died names a process that should run and does not.
func (f *federation) died() error {
	for _, p := range append([]*proc.Process{f.agg}, f.sites...) {
		if p != nil && p.Ended() {
			return fmt.Errorf("ended early\n%s", p.Tail())
		}
	}
	return nil
}

// read returns the retained message of a topic.
func (f *federation) read(topic string, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	p, err := f.client(ctx, fmt.Sprintf("%s-watch-%d", f.ns, rand.Uint32()))
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if _, err := p.Subscribe(ctx, link.Filter{Topic: topic, QoS: 1}); err != nil {
		return nil, err
	}
	m, err := p.Receive(ctx)
	return m.Payload, err
}

func (f *federation) client(ctx context.Context, id string) (*link.Probe, error) {
	return link.OpenProbe(ctx, link.Config{Broker: f.broker.url(), ClientID: id, MaxPacket: 16 << 20}, false)
}

// publish sends messages as somebody else.
func (f *federation) publish(messages ...link.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p, err := f.client(ctx, f.ns.String()+"-somebody")
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Publish(ctx, 16, messages...)
	return err
}

// records reads the records of the aggregator's disk, in order.
func (f *federation) records() ([][]byte, []record.Record, error) {
	names, err := filepath.Glob(filepath.Join(f.dir, "agg", "records", task, "*.json"))
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names)
	var raws [][]byte
	var all []record.Record
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			return nil, nil, err
		}
		r, err := record.Decode(b)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", n, err)
		}
		raws, all = append(raws, b), append(all, r)
	}
	return raws, all, nil
}

// outcome is what a finished federation shows.
type outcome struct {
	model   string
	counted map[string]int // train rounds that counted a member
}

// check holds the records against the promises: the chain holds, rounds rise by
// one, nobody is counted twice, no content is counted twice, and the retained
// model is the last record's.
func (f *federation) check() (outcome, error) {
	o := outcome{counted: map[string]int{}}
	raws, all, err := f.records()
	if err != nil {
		return o, err
	}
	if err := record.CheckChain(raws); err != nil {
		return o, err
	}
	content := map[string]bool{}
	next := uint64(0)
	for _, r := range all {
		if r.Verdict != record.Committed {
			continue
		}
		if r.Round != next {
			return o, fmt.Errorf("record of round %d, want %d", r.Round, next)
		}
		next++
		o.model = r.Model.String()
		seen := map[string]bool{}
		for _, e := range r.Entries {
			if e.Verdict != verdict.Counted || r.Work != "train" {
				continue
			}
			id := e.Content.String()
			if seen[e.Member] || content[id] {
				return o, fmt.Errorf("round %d: %s counted twice, or its update %s", r.Round, e.Member, id)
			}
			seen[e.Member], content[id] = true, true
			o.counted[e.Member]++
		}
	}
	if want := uint64(f.work.rounds + 3); next != want { // init, statistics, evaluate
		return o, fmt.Errorf("%d committed records, want %d", next, want)
	}
	return o, errors.Join(f.verify(), f.checkRetained(o.model))
}

// verify has fedmq verify replay the federation from the kept updates.
func (f *federation) verify() error {
	out, err := exec.Command(f.program, "verify", filepath.Join(f.dir, "agg")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fedmq verify: %w\n%s", err, out)
	}
	return nil
}

// checkRetained wants the last record's model on its topic.
func (f *federation) checkRetained(model string) error {
	out, err := exec.Command(f.program, "inspect", "-b", f.broker.url(), "-t", f.ns.String()+"/_fl_v1/"+task+"/model").CombinedOutput()
	if err != nil || !strings.Contains(string(out), model) {
		return fmt.Errorf("the retained model is not %s: %w\n%.600s", model, err, out)
	}
	return nil
}
