//go:build fedmqtest

package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// gauges are measured over time in the broker, the aggregator and the sites that
// nobody stops.
type gauges struct {
	c        *cluster
	commit   string
	client   mqtt.Client
	retained atomic.Int64 // as the broker counts them
	hours    []float64
	rows     map[string][]float64 // by name
}

// What is measured of each process, and the rows of the table.
var (
	quantities = []string{"memory, MiB", "pages of files, MiB", "goroutines", "descriptors"}
	owners     = []string{broker, aggregator, "sites, mean"}
)

const retainedRow = "retained messages"

func newGauges(c *cluster) *gauges {
	g := &gauges{c: c, commit: commit(), rows: map[string][]float64{}}
	o := mqtt.NewClientOptions().AddBroker(c.url()).SetClientID("gauges").SetProtocolVersion(4).
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond)
	o.SetOnConnectHandler(func(client mqtt.Client) {
		client.Subscribe("$SYS/broker/retained", 0, func(_ mqtt.Client, m mqtt.Message) {
			if n, err := strconv.ParseInt(string(m.Payload()), 10, 64); err == nil {
				g.retained.Store(n)
			}
		})
	})
	g.client = mqtt.NewClient(o)
	g.client.Connect()
	return g
}

func (g *gauges) stop() { g.client.Disconnect(0) }

// measure adds a point to each row.
func (g *gauges) measure(at time.Duration) {
	g.c.t.Helper()
	g.hours = append(g.hours, at.Hours())
	for _, owner := range owners {
		names := []string{owner}
		if owner == owners[2] {
			names = g.c.shape.members()[:undisturbedSites]
		}
		var sum [4]float64
		for _, name := range names {
			for i, v := range g.process(name) {
				sum[i] += v / float64(len(names))
			}
		}
		for i, q := range quantities {
			g.rows[owner+", "+q] = append(g.rows[owner+", "+q], sum[i])
		}
	}
	g.rows[retainedRow] = append(g.rows[retainedRow], float64(g.retained.Load()))
}

// process reads one process: resident memory without the pages of mapped files,
// as the state's, which come and go with the page cache; these pages; goroutines,
// descriptors.
func (g *gauges) process(name string) (v [4]float64) {
	g.c.t.Helper()
	g.c.mu.Lock()
	p, runs := g.c.procs[name]
	g.c.mu.Unlock()
	if !runs {
		g.c.fail(name + " does not run")
	}
	dir := fmt.Sprintf("/proc/%d", p.Cmd.Process.Pid)
	statm, err := os.ReadFile(dir + "/statm")
	if err != nil {
		g.c.t.Fatal(err)
	}
	var pages [2]float64 // all, of files
	for i := range pages {
		n, err := strconv.ParseFloat(strings.Fields(string(statm))[1+i], 64)
		if err != nil {
			g.c.t.Fatal(err)
		}
		pages[i] = n * float64(os.Getpagesize()) / (1 << 20)
	}
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		g.c.t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(g.c.dir, name+".goroutines"))
	if err != nil {
		g.c.t.Fatal(err)
	}
	routines, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		g.c.t.Fatal(err)
	}
	return [4]float64{pages[0] - pages[1], pages[1], float64(routines), float64(len(fds))}
}

// slope is the least-squares growth an hour after the warm-up, with the first
// and the last mean of a quarter.
func (g *gauges) slope(row string) (first, last, perHour float64) {
	from := len(g.hours) / 3
	x, y := g.hours[from:], g.rows[row][from:]
	quarter := max(1, len(y)/4)
	return mean(y[:quarter]), mean(y[len(y)-quarter:]), leastSquares(x, y)
}

func mean(v []float64) (sum float64) {
	for _, x := range v {
		sum += x / float64(len(v))
	}
	return sum
}

// leastSquares is the slope of the line through the points, 0 without two.
func leastSquares(x, y []float64) float64 {
	mx, my := mean(x), mean(y)
	var num, den float64
	for i := range x {
		num += (x[i] - mx) * (y[i] - my)
		den += (x[i] - mx) * (x[i] - mx)
	}
	if den == 0 {
		return 0
	}
	return num / den
}

// TestSlope: what grows is seen to grow, and the warm-up is not.
func TestSlope(t *testing.T) {
	t.Parallel()
	g := &gauges{rows: map[string][]float64{}}
	for i := range 30 {
		g.hours = append(g.hours, float64(i)/10)
		g.rows["still"] = append(g.rows["still"], float64(5+max(0, 9-i)))
		g.rows["grows"] = append(g.rows["grows"], 100+float64(2*i)/10+float64(i%2))
	}
	if first, last, slope := g.slope("still"); first != 5 || last != 5 || slope != 0 {
		t.Errorf("%v, %v, %v an hour, want 5, 5, 0", first, last, slope)
	}
	if first, last, slope := g.slope("grows"); last-first < 2.5 || slope < 1.9 || slope > 2.2 {
		t.Errorf("%v, %v, %v an hour, want about 3 more and 2", first, last, slope)
	}
}
