package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/web"
)

// chromium returns the browser that tests of the page use, or skips: they run
// in "make test-web", not beside everything else.
func chromium(t *testing.T) string {
	t.Helper()
	if os.Getenv("FEDMQ_TEST_WEB") == "" {
		t.Skip("tests in a browser run in: make test-web")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no chromium here: apt-get install chromium")
	return ""
}

// tab is one page in a browser of its own, with everything that it complained
// about.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

func openTab(t *testing.T, url string) *tab {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.Flag("force-prefers-reduced-motion", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.WindowSize(1240, 900),
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	b.do("open")
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return // the browser has ended
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning || m.Type == chromedp.ConsoleException {
				b.mu.Lock()
				b.complaints = append(b.complaints, fmt.Sprintf("%s: %s %s", m.Type, m.Text, m.URL))
				b.mu.Unlock()
			}
		}
	}()
	b.do("load", chromedp.Navigate(url))
	return b
}

// quiet checks that the page had nothing to complain about, but what allowed
// names, and asked nobody else.
func (b *tab) quiet(allowed string) {
	b.t.Helper()
	foreign := eval[[]string](b, `performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith(location.origin))`)
	if len(foreign) > 0 {
		b.t.Errorf("the page asked for %q", foreign)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		if allowed == "" || !strings.Contains(c, allowed) {
			b.t.Errorf("the page: %s", c)
		}
	}
}

func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.ctx, func() {}
	if len(actions) > 0 { // the first of all starts the browser, for as long as its context
		ctx, cancel = context.WithTimeout(b.ctx, time.Minute)
	}
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// until waits until a JavaScript expression is true.
func (b *tab) until(what, expr string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](expr, chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(50*time.Second))); err != nil {
		b.t.Fatalf("%s: %v; the page says:\n%s", what, err, eval[string](b, `document.body.innerText.slice(0, 2500)`))
	}
}

func eval[T any](b *tab, expr string, opts ...chromedp.EvaluateOption) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expr, opts...))
	if err != nil {
		b.t.Fatalf("%s: %v", expr, err)
	}
	return v
}

// theme presses the button until the page has a theme.
func (b *tab) theme(name string) {
	for eval[string](b, `document.documentElement.dataset.theme ?? "auto"`) != name {
		b.do("theme", chromedp.Click("#theme"))
	}
}

// picture writes the page as a PNG into $FEDMQ_SCREENSHOTS, if that is set.
func (b *tab) picture(name string, width, height int64, theme string) {
	b.t.Helper()
	b.theme(theme)
	b.do("size", chromedp.EmulateViewport(width, height))
	eval[any](b, `scrollTo(0, 0); new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))`, chromedp.EvalAwaitPromise)
	if dir := os.Getenv("FEDMQ_SCREENSHOTS"); dir != "" {
		ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
		defer cancel()
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(width) {
		b.t.Errorf("the page is %d pixels wide on a screen of %d", wide, width)
	}
	b.do("size", chromedp.ResetViewport())
}

const testToken = "a-token-for-the-tests"

// serveDashboard runs what fedmq dashboard runs, and returns the page's URL.
func serveDashboard(t *testing.T, brokerURL string) string {
	t.Helper()
	var server *web.Server
	flags := watchFlags{clientFlags: clientFlags{Broker: brokerURL}, Namespace: "acme"}
	w, err := flags.open(zerolog.Nop(), "dashboard", func() { server.Changed() })
	if err != nil {
		t.Fatal(err)
	}
	server, err = web.New(web.Config{
		Federation: w.fed, Token: testToken, Addr: "127.0.0.1:0", Log: zerolog.Nop(),
		Command: func(ctx context.Context, task, op string) (string, error) { return w.command(ctx, task, op, "") },
	})
	if err != nil {
		t.Fatal(err)
	}
	url, err := server.Listen()
	if err != nil {
		t.Fatal(err)
	}
	inBackground(t, func(ctx context.Context) error { return w.run(ctx, server.Run) })
	return url
}

// serveBroker runs an open broker and returns its URL.
func serveBroker(t *testing.T) string {
	t.Helper()
	b, err := broker.New(broker.Config{TCP: "127.0.0.1:0", Open: true})
	if err == nil {
		err = b.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	inBackground(t, b.Run)
	<-b.Ready()
	return "tcp://" + b.Addrs().TCP
}

// inBackground runs something until the test ends.
func inBackground(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
