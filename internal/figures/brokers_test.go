package figures

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/bench"
	"github.com/fedmq/fedmq/internal/proc"
)

// kinds are the brokers that a round is measured with; the script is that of
// FEDMQ_BROKERS_DIR, none for the embedded one.
var kinds = []struct{ title, script, extra string }{
	{"embedded", "", ""},
	{"Mosquitto, `set_tcp_nodelay true`", "start-mosquitto", "set_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages 0\n"},
	{"Mosquitto as installed", "start-mosquitto", ""},
	{"NATS, JetStream", "start-nats", ""},
}

// brokersTable is the same rounds through other brokers, each size one after the
// other.
func (f *figures) brokersTable() {
	dir := os.Getenv("FEDMQ_BROKERS_DIR")
	if dir == "" {
		f.Skip("FEDMQ_BROKERS_DIR is not set")
	}
	text := f.machine() + "| broker | parameters x sites | round: median, fastest | times embedded | times the floor | CPU a round: aggregator, all sites |\n|---|---|---|---|---|---|\n"
	for i, n := range f.sizes {
		embedded := 0.0
		for _, k := range kinds {
			r, err := f.through(dir, k.script, k.extra, n, f.rounds[i])
			if err != nil {
				f.Logf("%s: %v", k.title, err)
				text += fmt.Sprintf("| %s | %s x 10 | not to be had here | | | |\n", k.title, bench.Parameters(n))
				continue
			}
			if k.script == "" {
				embedded = r.Median
			}
			text += fmt.Sprintf("| %s | %s x 10 | %s, %s | **%.2f** | %.1f | %.3f, %.3f s |\n", k.title, bench.Parameters(n),
				seconds(r.Median), seconds(r.Min), r.Median/embedded, r.WallOver, *r.CPUByRole.Aggregator, *r.CPUByRole.Site)
		}
	}
	f.write(benchPage, "brokers", text)
}

// through measures with one broker, which lives as long.
func (f *figures) through(dir, script, extra string, params, rounds int) (*bench.Result, error) {
	args := []string{fmt.Sprintf("--rounds=%d", rounds)}
	if script == "" {
		return f.round(params, args...), nil
	}
	port, err := proc.Port()
	if err != nil {
		return nil, err
	}
	work := f.TempDir()
	cmd := exec.Command(filepath.Join(dir, script), port)
	cmd.Env = append(os.Environ(), "FEDMQ_BROKER_EXTRA="+extra, "FEDMQ_BROKER_DATA="+work)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	cmd.Stdout = w
	p, err := proc.Start(cmd, filepath.Join(work, "log"))
	_ = w.Close()
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	if line, _ := bufio.NewReader(r).ReadString('\n'); line != "ready\n" {
		lines := strings.Split(strings.TrimSpace(p.Log()), "\n")
		return nil, fmt.Errorf("it did not start: %s", lines[len(lines)-1])
	}
	return f.round(params, append(args, "--broker", "tcp://127.0.0.1:"+port)...), nil
}

// peersTable is fedmq beside what others would take.
func (f *figures) peersTable() {
	if os.Getenv("FEDMQ_PEERS") == "" {
		f.Skip("FEDMQ_PEERS is not set")
	}
	args := []string{fmt.Sprintf("--turns=%d", f.turns)}
	for _, n := range f.sizes {
		args = append(args, fmt.Sprint(n))
	}
	cmd := exec.Command("../../scripts/peers", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		f.Fatal(err)
	}
	f.write(benchPage, "peers", f.machine()+string(out))
}

// oldTable is a small round of another build, in turn with this one's.
func (f *figures) oldTable() {
	old := os.Getenv("FEDMQ_OLD")
	if old == "" {
		f.Skip("FEDMQ_OLD is not set")
	}
	began := time.Now()
	for _, n := range f.sizes {
		var wall, cpu [2][]float64
		for range f.turns {
			for i, program := range [...]string{old, f.program} {
				r := f.roundAs(program, n, "--rounds=5")
				wall[i], cpu[i] = append(wall[i], r.Median), append(cpu[i], r.CPU)
			}
		}
		f.Logf("%d x 10, older and this build, medians of %d turns: round %s and %s, CPU %.3f and %.3f s", n, f.turns,
			seconds(middle(wall[0])), seconds(middle(wall[1])), middle(cpu[0]), middle(cpu[1]))
	}
	f.Logf("older build: %.0f s", time.Since(began).Seconds())
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}
