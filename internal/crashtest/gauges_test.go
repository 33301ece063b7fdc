//go:build fedmqtest

package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// gauges are measured over time in the broker, the aggregator and the sites that
// nobody stops.
type gauges struct {
	c        *cluster
	client   mqtt.Client
	retained atomic.Int64 // as the broker counts them
	hours    []float64
	rows     map[string][]float64 // by name
}

// What is measured of each process, and the rows of the table.
var (
	quantities = []string{"memory, MiB", "goroutines", "descriptors"}
	owners     = []string{broker, aggregator, "sites, mean"}
)

const retainedRow = "retained messages"

func newGauges(c *cluster) *gauges {
	g := &gauges{c: c, rows: map[string][]float64{}}
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
		var sum [3]float64
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

// process reads one process: memory, goroutines, descriptors.
func (g *gauges) process(name string) (v [3]float64) {
	g.c.t.Helper()
	g.c.mu.Lock()
	cmd := g.c.procs[name]
	g.c.mu.Unlock()
	if cmd == nil {
		g.c.fail(name + " does not run")
	}
	proc := fmt.Sprintf("/proc/%d", cmd.Process.Pid)
	statm, err := os.ReadFile(proc + "/statm")
	if err != nil {
		g.c.t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		g.c.t.Fatal(err)
	}
	fds, err := os.ReadDir(proc + "/fd")
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
	return [3]float64{float64(pages) * float64(os.Getpagesize()) / (1 << 20), float64(routines), float64(len(fds))}
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
