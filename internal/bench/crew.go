package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// crew is the outside of a bench's parties: it starts them, hears them, and
// ends them, as processes or in this one.
type crew struct {
	processes bool
	dir       string // of the bench, for logs
	profile   string
	log       zerolog.Logger // of parties in this process
	peer      []string       // arguments of this program that make it a party
	said      chan saying
	closing   chan struct{}
	members   []*member
}

// saying is what a party said.
type saying struct {
	from *member
	peerEvent
}

// member is one party. Its input ends it.
type member struct {
	spec  peerSpec
	in    io.WriteCloser
	asks  *json.Encoder
	quiet chan struct{} // closed when it has said its last
	wait  func() error
	kill  func() error
}

// endWithin is how long a party has to end.
const endWithin = 15 * time.Second

func newCrew(dir string, r Round) *crew {
	return &crew{processes: r.Processes, dir: dir, profile: r.Profile, log: r.Log, peer: r.Peer, said: make(chan saying, 64), closing: make(chan struct{})}
}

// start starts a party.
func (c *crew) start(ctx context.Context, spec peerSpec) (*member, error) {
	m := &member{spec: spec, quiet: make(chan struct{})}
	launch := c.within
	if c.processes {
		launch = c.spawn
		m.spec.Profile = c.profile
	}
	out, err := launch(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spec.Name, err)
	}
	m.asks = json.NewEncoder(m.in)
	c.members = append(c.members, m)
	go c.hear(m, out)
	if err := m.asks.Encode(m.spec); err != nil {
		return nil, fmt.Errorf("%s: %w", spec.Name, err)
	}
	return m, nil
}

// within runs the party in this process.
func (c *crew) within(ctx context.Context, m *member) (io.Reader, error) {
	in, toPeer := io.Pipe()
	fromPeer, out := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		err := RunPeer(ctx, in, out, c.log, nil)
		done <- errors.Join(err, in.Close(), out.Close())
	}()
	m.in = toPeer
	m.wait = func() error { defer cancel(); return <-done }
	m.kill = func() error { cancel(); return nil }
	return fromPeer, nil
}

// spawn runs the party as a process, which ends when this one does, since its
// input then ends.
func (c *crew) spawn(_ context.Context, m *member) (io.Reader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	logFile, err := os.Create(c.logFile(m))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, c.peer...)
	cmd.Stderr = logFile
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, logFile.Close())
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, logFile.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, logFile.Close())
	}
	m.in, m.kill = in, cmd.Process.Kill
	m.wait = func() error {
		<-m.quiet // the pipe is read before Wait closes it
		return errors.Join(cmd.Wait(), logFile.Close())
	}
	return out, nil
}

func (c *crew) logFile(m *member) string { return filepath.Join(c.dir, m.spec.Name+".log") }

// hear passes on what a party says until it is done; then its input is closed,
// and so the party ends.
func (c *crew) hear(m *member, out io.Reader) {
	defer close(m.quiet)
	defer func() { _ = m.in.Close() }()
	said := json.NewDecoder(out)
	for {
		var e peerEvent
		if err := said.Decode(&e); err != nil {
			words := "it ended without a word"
			e = peerEvent{Done: &words}
		}
		select {
		case c.said <- saying{m, e}:
		case <-c.closing:
		}
		if e.Done != nil {
			return
		}
	}
}

// next waits for what is said next. A party that is done too early is an error,
// with the last lines of its log.
func (c *crew) next(ctx context.Context) (saying, error) {
	select {
	case <-ctx.Done():
		return saying{}, context.Canceled
	case h := <-c.said:
		switch {
		case h.Done == nil:
			return h, nil
		case ctx.Err() != nil:
			return h, context.Canceled
		case *h.Done == "":
			return h, fmt.Errorf("%s ended%s", h.from.spec.Name, c.lastLines(h.from))
		}
		return h, fmt.Errorf("%s: %s%s", h.from.spec.Name, *h.Done, c.lastLines(h.from))
	}
}

// logTail is how much of a log is shown.
const logTail = 2 << 10

func (c *crew) lastLines(m *member) string {
	if !c.processes {
		return ""
	}
	b, err := os.ReadFile(c.logFile(m))
	if b = bytes.TrimSpace(b); err != nil || len(b) == 0 {
		return ""
	}
	return "; its log ends with:\n" + string(b[max(len(b)-logTail, 0):])
}

// readies waits until n parties are ready and returns the last address.
func (c *crew) readies(ctx context.Context, n int) (address string, err error) {
	for n > 0 {
		h, err := c.next(ctx)
		if err != nil {
			return "", err
		}
		if h.Ready != nil {
			n--
			if *h.Ready != "" {
				address = *h.Ready
			}
		}
	}
	return address, nil
}

// ask asks every party. One that has gone says so itself.
func (c *crew) ask(what string) {
	for _, m := range c.members {
		_ = m.asks.Encode(what)
	}
}

// end ends the parties, the last started first, and returns when all have.
func (c *crew) end() error {
	close(c.closing)
	var errs []error
	for first := len(c.members) - 1; first >= 0; {
		group := c.members[first : first+1]
		for first--; first >= 0 && c.members[first].spec.Role == group[0].spec.Role; first-- {
			group = c.members[first : first+len(group)+1]
		}
		errs = append(errs, endAll(group)...)
	}
	return errors.Join(errs...)
}

func endAll(group []*member) []error {
	errs := make([]error, len(group))
	var wg sync.WaitGroup
	for i, m := range group {
		_ = m.in.Close() // a second time is no error that matters
		wg.Go(func() { errs[i] = m.end() })
	}
	wg.Wait()
	return errs
}

func (m *member) end() error {
	ended := make(chan error, 1)
	go func() { ended <- m.wait() }()
	timer := time.NewTimer(endWithin)
	defer timer.Stop()
	select {
	case <-ended: // how, it has said
		return nil
	case <-timer.C:
		err := errors.Join(fmt.Errorf("%s did not end within %s", m.spec.Name, endWithin), m.kill())
		<-ended
		return err
	}
}
