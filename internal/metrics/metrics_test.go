package metrics

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/site"
)

var write = flag.Bool("write", false, "write docs/ref/metrics.md")

const (
	page   = "../../docs/ref/metrics.md"
	marker = "<!-- made by: go test ./internal/metrics -write -->\n"
)

// docs/ref/metrics.md has the tables of the code.
func TestReference(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, tables, ok := strings.Cut(string(b), marker)
	if !ok {
		t.Fatalf("%s has no line %q", page, marker)
	}
	want := "\n" + strings.TrimSuffix(markdown(), "\n")
	if *write {
		if err := os.WriteFile(page, []byte(head+marker+want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if tables != want {
		t.Errorf("%s is not what the code has; go test ./internal/metrics -write", page)
	}
}

func stats() aggregator.Stats {
	s := aggregator.Stats{Ready: true, Tasks: []aggregator.TaskStats{{
		Task: "line", Epoch: 2, Round: 3, Attempt: 1, Version: 2, Phase: "open", Members: 5, Cohort: 4, Accepted: 2,
		Committed: 2, Abandoned: 1, RoundSeconds: 7.5, Refused: map[string]uint64{"not_finite": 3, "made up": 2},
		BytesUp: 10, BytesDown: 20, UploadsRunning: 1, UploadsWaiting: 2, ExportErrors: 1,
		Metrics: map[string]float64{"macro_f1": 0.75, "pinball": 2}, Guess: map[string]float64{"macro_f1": 0.5},
	}}}
	s.Link.Up, s.Link.Losses = true, 4
	return s
}

func aggregatorOf(s aggregator.Stats) Source {
	whole := Aggregator(new(aggregator.Monitor)).(*source[aggregator.Stats])
	return newSource(func() aggregator.Stats { return s }, whole.ready, whole.metrics)
}

func TestAggregator(t *testing.T) {
	t.Parallel()
	_, body := get(t, aggregatorOf(stats()), "/metrics")
	for _, line := range []string{
		`fedmq_aggregator_phase{phase="open",task="line"} 1`,
		`fedmq_aggregator_phase{phase="halted",task="line"} 0`,
		`fedmq_aggregator_attempts_total{task="line",verdict="abandoned"} 1`,
		`fedmq_aggregator_attempts_seconds_total{task="line"} 7.5`,
		`fedmq_aggregator_refused_total{reason="not_finite",task="line"} 3`,
		`fedmq_aggregator_refused_total{reason="conflict",task="line"} 0`,
		`fedmq_aggregator_refused_total{reason="other",task="line"} 2`,
		`fedmq_aggregator_uploads{state="waiting",task="line"} 2`,
		`fedmq_aggregator_metric{metric="pinball",task="line"} 2`,
		`fedmq_aggregator_metric_guess{metric="macro_f1",task="line"} 0.5`,
		`fedmq_link_losses_total 4`,
		`fedmq_link_up 1`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if !strings.Contains(body, "\ngo_goroutines ") {
		t.Error("nothing of the Go runtime")
	}
	if strings.Contains(body, "made up") {
		t.Error("a peer's text is a label")
	}
}

// Names and units are as Prometheus wants them.
func TestLint(t *testing.T) {
	t.Parallel()
	st := site.Stats{Tasks: []site.TaskStats{{Task: "line", Failed: map[string]uint64{"failed": 1}}}}
	b, err := broker.New(broker.Config{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []prometheus.Collector{
		aggregatorOf(stats()), newSource(func() site.Stats { return st }, nil, siteMetrics()), Broker(b),
	} {
		problems, err := testutil.CollectAndLint(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*aggregator.Stats)
		want   string // "" is ready
	}{
		{"ready", func(*aggregator.Stats) {}, ""},
		{"no link yet", func(s *aggregator.Stats) { s.Link.Up = false }, "no connection to the broker yet"},
		{"no link", func(s *aggregator.Stats) { s.Link.Up, s.Link.LastError = false, "refused" }, "no connection to the broker: refused"},
		{"denied", func(s *aggregator.Stats) { s.Link.Denied = []string{"acme/#"} }, "the broker refuses 1 subscriptions: acme/#"},
		{"no echo", func(s *aggregator.Stats) { s.Ready = false }, "what is published does not come back yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := stats()
			c.change(&s)
			code, body := get(t, aggregatorOf(s), "/readyz")
			want, text := http.StatusServiceUnavailable, c.want
			if text == "" {
				want, text = http.StatusOK, "ok"
			}
			if code != want || body != text+"\n" {
				t.Errorf("%d %q, want %d %q", code, body, want, text)
			}
			if code, _ := get(t, aggregatorOf(s), "/healthz"); code != http.StatusOK {
				t.Errorf("alive: %d", code)
			}
		})
	}
}

func TestSiteReady(t *testing.T) {
	t.Parallel()
	ready := Site(new(site.Monitor)).(*source[site.Stats]).ready
	s := site.Stats{Ready: true, Tasks: []site.TaskStats{{Task: "a", Welcomed: true}, {Task: "b"}}}
	s.Link.Up = true
	if ok, why := ready(s); ok || why != "task b: no aggregator has welcomed this site" {
		t.Errorf("%v, %q", ok, why)
	}
	s.Tasks[1].Welcomed = true
	if ok, why := ready(s); !ok {
		t.Error(why)
	}
}

func TestBroker(t *testing.T) {
	t.Parallel()
	b, err := broker.New(broker.Config{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := get(t, Broker(b), "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("ready before it runs: %d", code)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	if code, _ := get(t, Broker(b), "/readyz"); code != http.StatusOK {
		t.Errorf("not ready: %d", code)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if code, _ := get(t, Broker(b), "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("ready after its end: %d", code)
	}
}

// Serve ends with its context, and only what is named is there.
func TestServe(t *testing.T) {
	t.Parallel()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, aggregatorOf(stats())) }()
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 200, "/": 404, "/debug/pprof/": 404} {
		resp, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A metric has one meaning wherever it stands, and a name of the house.
func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	name := regexp.MustCompile(`^fedmq_(aggregator|site|link|broker|audit)_[a-z_]+$`)
	for _, s := range Reference() {
		for _, r := range s.Rows {
			if seen[r.Name] || !name.MatchString(r.Name) || r.Help == "" || strings.HasSuffix(r.Name, "_total") != (r.Kind == string(counter)) {
				t.Errorf("%+v", r)
			}
			seen[r.Name] = true
		}
	}
}

func get(t *testing.T, s Source, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(s).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b)
}

// markdown is the tables of the reference as the documentation shows them.
func markdown() string {
	var b strings.Builder
	for _, s := range Reference() {
		fmt.Fprintf(&b, "## %s\n\n| metric | kind | labels | what |\n|---|---|---|---|\n", s.Title)
		for _, r := range s.Rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Name, r.Kind, strings.Join(r.Labels, ", "), r.Help)
		}
		b.WriteString("\n")
	}
	return b.String()
}
