package brokers

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A line that the list lacks, or a topic of it, is silence at a Mosquitto: the site says
// what nobody answers, with topic, user and cure, in its log and on /readyz, and the
// aggregator names the member that it welcomed and that sent nothing.
func TestSilenceIsSaid(t *testing.T) {
	const (
		own   = "topic write acme/berlin/line-1/_fl_v1/"
		reply = "topic read acme/_fl_v1/+/reply/berlin/line-1"
	)
	for _, c := range []struct {
		name, gone string
		instead    []string
		what       string // of the site's, nobody answers
		silent     bool   // the aggregator welcomed it
	}{
		{"reply", reply, nil, "join", true},
		{"update", own + "#", []string{own + "state", own + "+/status", own + "+/join"}, "update", true},
		{"all", own + "#", nil, "join", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, agg, dir := listed(t, siteUser, c.gone, c.instead...)
			write(t, dir, "data.csv", "x,y\n1,2\n2,3\n3,4\n")
			write(t, dir, "site.yaml", "broker: "+s.url()+"\nnamespace: acme\nmember: berlin/line-1\nusername: "+siteUser+`
data_dir: ./d
tasks: [{name: line, trainer: {tabular: {train: data.csv, target: {column: y}, features: [{columns: [x]}]}}}]
`)
			http := "127.0.0.1:" + freePort(t)
			site := start(t, filepath.Join(dir, "site.log"), s.program, "site", "-c", filepath.Join(dir, "site.yaml"), "--http", http)
			text := "no answer to the " + c.what + " on acme/berlin/line-1/_fl_v1/line/" + c.what
			says(t, site, "WRN", text, "user berlin/line-1", "access list", "reading acme/_fl_v1/line/reply/berlin/line-1")
			if code, body := ready(t, http); code != 503 || !strings.Contains(body, text) {
				t.Errorf("/readyz: %d %s", code, body)
			}
			const silent = "these members were welcomed and sent no update"
			if c.silent {
				says(t, agg, "WRN", silent, "members=", "berlin/line-1", "silent=1")
			} else if strings.Contains(agg.Tail(), silent) {
				t.Error(agg.Tail())
			}
		})
	}
}

// ready is what /readyz says.
func ready(t *testing.T, at string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	r, err := client.Get("http://" + at + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}
