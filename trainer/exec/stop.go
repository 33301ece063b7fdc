package exec

import (
	"errors"
	"time"

	"github.com/fedmq/fedmq/internal/group"
)

// errStopping is why a request ends when the trainer does.
var errStopping = errors.New("the site ends")

// Stop begins to end the program, whatever it is doing, and does not
// wait for it. It may be called from any goroutine, more than once; the end of
// the context given to [Start] does it too. Requests fail from then on.
func (t *Trainer) Stop() { t.once.Do(func() { close(t.cfg.stopping) }) }

// stopped reports whether the trainer is ending.
func (c Config) stopped() bool {
	select {
	case <-c.stopping:
		return true
	default:
		return false
	}
}

// Close ends the program and what it has started, and removes the files.
func (t *Trainer) Close() error {
	t.Stop()
	t.unwatch()
	if t.running != nil {
		<-t.running.ended
		t.running = nil
	}
	return errors.Join(t.files.clear(true), t.files.release())
}

// obey ends the program when the trainer is stopped: in the middle of a
// request it is asked to end at once, else its standard input ends first.
func (p *process) obey() {
	select {
	case <-p.ended:
		return
	case <-p.cfg.stopping:
	}
	p.hush.Do(func() { close(p.deaf) })
	patience := time.AfterFunc(p.cfg.times.last, func() {
		if !p.gone() {
			_ = group.Kill(p.cmd.Process.Pid)
		}
	})
	defer patience.Stop()
	if !p.busy.Load() && p.in != nil {
		closeAll(p.in)
		if p.endsIn(p.cfg.times.ask) {
			return
		}
	}
	if !p.gone() {
		_ = group.Terminate(p.cmd.Process.Pid)
	}
	<-p.ended
}
