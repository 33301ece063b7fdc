package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/watch"
	"github.com/fedmq/fedmq/topics"
)

const token = "0123456789abcdef"

func newServer(t *testing.T, command func(context.Context, string, string) (string, error)) (*Server, *watch.Federation) {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	fed := watch.New(watch.Config{Namespace: ns})
	s, err := New(Config{Federation: fed, Token: token, Command: command, Addr: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return s, fed
}

func say(t *testing.T, f *watch.Federation, topic, payload string) {
	t.Helper()
	if err := f.Apply(watch.Message{Topic: topic, Payload: []byte(payload), Live: true}, 1000); err != nil {
		t.Fatal(err)
	}
}

func request(s *Server, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8470"
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, r)
	return w
}

// The page and what it loads come from here, with a policy that allows nothing
// else; the page itself has no inline script or style.
func TestPage(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, nil)
	for path, want := range map[string]string{
		"/": "text/html", "/assets/app.js": "text/javascript", "/assets/style.css": "text/css",
		"/assets/vendor/uplot.js": "text/javascript", "/assets/icon.svg": "image/svg+xml",
	} {
		w := request(s, http.MethodGet, path, "")
		h := w.Header()
		if w.Code != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), want) || w.Body.Len() == 0 {
			t.Errorf("%s: %d, %s, %d bytes", path, w.Code, h.Get("Content-Type"), w.Body.Len())
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", path, h)
		}
		if b := w.Body.String(); path == "/" && (strings.Contains(b, "style=") || strings.Contains(b, "<style") || strings.Contains(b, "onclick") || strings.Contains(b, "//") && strings.Contains(b, "http")) {
			t.Errorf("the page has something inline, or from elsewhere")
		}
	}
	for _, path := range []string{"/nothing", "/assets/", "/assets/vendor", "/assets/../doc.go", "/assets/static/index.html"} {
		if w := request(s, http.MethodGet, path, ""); w.Code == http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// A name that was made to point at the loopback reads nothing.
func TestHost(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, nil)
	for host, want := range map[string]int{
		"127.0.0.1:8470": 200, "localhost:8470": 200, "localhost": 200, "[::1]:8470": 200, "evil.example:8470": 421, "127.0.0.1.evil.example": 421, "": 421,
	} {
		if w := request(s, http.MethodGet, "/", "", "Host", host); w.Code != want {
			t.Errorf("%q: %d, want %d", host, w.Code, want)
		}
	}
	s.loopback = false
	if w := request(s, http.MethodGet, "/", "", "Host", "scada.plant.example"); w.Code != http.StatusOK {
		t.Errorf("on a network: %d", w.Code)
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	var sent []string
	s, _ := newServer(t, func(_ context.Context, task, op string) (string, error) {
		sent = append(sent, task+" "+op)
		switch task {
		case "refused":
			return "", fmt.Errorf("%w: pause: refused, finished", watch.ErrRefused)
		case "silent":
			return "", errors.New("no answer")
		}
		return op + ": done", nil
	})
	const good = `{"task":"q","command":"pause"}`
	for _, c := range []struct {
		name, body string
		header     []string
		code       int
		says       string
	}{
		{"good", good, nil, 200, "pause: done"},
		{"good, from the page", good, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8470"}, 200, "pause: done"},
		{"no token", good, []string{TokenHeader, ""}, 401, "token"},
		{"wrong token", good, []string{TokenHeader, token + "0"}, 401, "token"},
		{"another site", good, []string{"Sec-Fetch-Site", "cross-site"}, 403, "own page"},
		{"another origin", good, []string{"Origin", "http://127.0.0.1:9999"}, 403, "own page"},
		{"a form", "task=q", []string{"Content-Type", "text/plain"}, 415, "application/json"},
		{"unknown command", `{"task":"q","command":"rollback"}`, nil, 400, "want command"},
		{"unknown field", `{"task":"q","command":"stop","x":1}`, nil, 400, "want"},
		{"too long", `{"task":"` + strings.Repeat("q", 2000) + `"}`, nil, 400, "want"},
		{"refused", `{"task":"refused","command":"pause"}`, nil, 409, "finished"},
		{"no answer", `{"task":"silent","command":"pause"}`, nil, 502, "no answer"},
		{"another name", good, []string{"Host", "evil.example"}, 421, "loopback"},
	} {
		w := request(s, http.MethodPost, "/api/command", c.body, append([]string{"Content-Type", "application/json", TokenHeader, token}, c.header...)...)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s, want %d and %q", c.name, w.Code, w.Body, c.code, c.says)
		}
	}
	if got := strings.Join(sent, ", "); got != "q pause, q pause, refused pause, silent pause" {
		t.Errorf("sent: %s", got)
	}
	if w := request(s, http.MethodGet, "/api/command", ""); w.Code == http.StatusOK {
		t.Error("a command by GET")
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Token: token[1:]}); err == nil {
		t.Error("a token of 15 bytes was taken")
	}
}

// stream opens the live stream of a served dashboard.
func stream(t *testing.T, url string) func() watch.View {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"api/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	in := bufio.NewReader(answer.Body)
	return func() (v watch.View) {
		t.Helper()
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if b, ok := strings.CutPrefix(line, "data: "); ok {
				if err := json.Unmarshal([]byte(b), &v); err != nil {
					t.Fatal(err)
				}
				return v
			}
		}
	}
}

// A stream begins with everything, goes on with what changes, and ends with the
// server.
func TestLive(t *testing.T) {
	t.Parallel()
	s, fed := newServer(t, nil)
	url, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	say(t, fed, "acme/a/_fl_v1/q/status", `{"schema":"fedmq.status.v1","phase":"training","round":1,"metrics":{"</script>":1}}`)
	say(t, fed, "acme/b/_fl_v1/q/status", `{"schema":"fedmq.status.v1","phase":"training","round":1}`)
	next := stream(t, url)
	if v := next(); !v.Full || len(v.Sites) != 2 {
		t.Errorf("first: %+v", v)
	}
	s.Changed() // nothing new, nothing sent
	say(t, fed, "acme/b/_fl_v1/q/status", `{"schema":"fedmq.status.v1","phase":"sending","round":1}`)
	s.Changed()
	if v := next(); v.Full || len(v.Sites) != 1 || v.Sites[0].Phase != "sending" {
		t.Errorf("second: %+v", v)
	}
	answer, err := http.Get(url + "api/site?task=q&path=a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil || !strings.Contains(string(b), `"values":[1]`) {
		t.Errorf("%s, %v", b, err)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(stopTime + 5*time.Second):
		t.Error("the server does not end while a page is open")
	}
}

// A page that does not read gets everything anew, and costs no memory
// meanwhile; there is a greatest number of pages.
func TestSlowPage(t *testing.T) {
	t.Parallel()
	s, fed := newServer(t, nil)
	p, err := s.hub.join()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * pageQueue {
		say(t, fed, "acme/b/_fl_v1/q/status", fmt.Sprintf(`{"schema":"fedmq.status.v1","phase":"training","round":%d}`, i))
		s.Changed()
	}
	if len(p.views) != pageQueue || !p.lost {
		t.Errorf("%d views wait (lost %t), want %d", len(p.views), p.lost, pageQueue)
	}
	for range pageQueue {
		<-p.views
	}
	s.Changed()
	var v watch.View
	if err := json.Unmarshal(<-p.views, &v); err != nil || !v.Full || v.Sites[0].Round != 3*pageQueue-1 {
		t.Errorf("%+v, %v", v, err)
	}
	for range maxPages - 1 {
		if _, err := s.hub.join(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.hub.join(); !errors.Is(err, errPages) {
		t.Errorf("one page too many: %v", err)
	}
	s.hub.leave(p)
	if _, err := s.hub.join(); err != nil {
		t.Error(err)
	}
}
