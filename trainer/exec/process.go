package exec

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fedmq/fedmq/internal/group"
)

// process is one run of the program.
type process struct {
	cfg   Config
	cmd   *osexec.Cmd
	in    *os.File   // its standard input; nil: it has none
	lines chan heard // closed when standard output has ended
	talk  *talk
	deaf  chan struct{} // closed: nobody wants lines any more
	hush  sync.Once
	busy  atomic.Bool   // with a request
	ended chan struct{} // closed when the process and its readers have ended
	state string        // how it ended; valid after ended
}

// orphanTime is how long output may stay open after its program, held by a
// child that has left the process group.
const orphanTime = time.Second

// start runs the program; env is added to this process's environment.
func start(cfg Config, env []string, withInput bool) (*process, error) {
	p := &process{
		cfg: cfg, cmd: osexec.Command(cfg.Command[0], cfg.Command[1:]...),
		lines: make(chan heard, 16), talk: newTalk(cfg.Log), deaf: make(chan struct{}), ended: make(chan struct{}),
	}
	p.cmd.Dir, p.cmd.Env = cfg.Dir, slices.Concat(os.Environ(), cfg.extra, env)
	group.Apart(p.cmd)
	var pipes []*os.File // ends of the program's, closed here once it runs
	pipe := func() (r, w *os.File, err error) {
		r, w, err = os.Pipe()
		if err == nil {
			pipes = append(pipes, r, w)
		}
		return r, w, err
	}
	out, outW, err := pipe()
	errs, errW, err2 := pipe()
	if err = errors.Join(err, err2); err == nil && withInput {
		var inR *os.File
		if inR, p.in, err = pipe(); err == nil {
			p.cmd.Stdin = inR
		}
	}
	if err == nil {
		p.cmd.Stdout, p.cmd.Stderr = outW, errW
		err = p.cmd.Start()
	}
	if err != nil {
		closeAll(pipes...)
		return nil, cfg.cure(err)
	}
	closeAll(outW, errW)
	if f, ok := p.cmd.Stdin.(*os.File); ok {
		closeAll(f)
	}
	p.follow(out, errs)
	go p.obey() // ends with the process
	if err := p.limit(); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // the ends of pipes: nothing is lost
	}
}

// limit sets what the operating system watches over.
func (p *process) limit() error {
	if p.cfg.Memory > 0 {
		if err := limitMemory(p.cmd.Process.Pid, p.cfg.Memory); err != nil {
			return fmt.Errorf("memory: %w", err)
		}
	}
	if p.cfg.Nice > 0 {
		if err := renice(p.cmd.Process.Pid, p.cfg.Nice); err != nil {
			return fmt.Errorf("nice: %w", err)
		}
	}
	return nil
}

// follow starts what reads the program and waits for it; ended closes when all
// of that is over.
func (p *process) follow(out, errs *os.File) {
	var readers sync.WaitGroup
	readers.Go(func() { p.read(out) })
	readers.Go(func() { p.talk.drain(errs) })
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state says it
		group.Sweep(p.cmd.Process.Pid)
		p.state = p.cmd.ProcessState.String()
		cut := time.AfterFunc(orphanTime, func() { closeAll(out, errs) })
		readers.Wait()
		cut.Stop()
		closeAll(out, errs)
		if p.in != nil {
			closeAll(p.in)
		}
	}()
}

// writeTime is how long a program may leave a message unread.
const writeTime = 10 * time.Second

// write sends a message.
func (p *process) write(line []byte) error {
	// Where a pipe has no deadlines, a message waits until it is read.
	_ = p.in.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := p.in.Write(line)
	return err
}

// end ends the program and what it has started, and returns when all are gone.
func (p *process) end() {
	p.hush.Do(func() { close(p.deaf) })
	if !p.gone() {
		_ = group.Terminate(p.cmd.Process.Pid)
		if p.endsIn(p.cfg.times.term) {
			return
		}
		_ = group.Kill(p.cmd.Process.Pid)
	}
	<-p.ended
}

// group is the number of the process group made for the program; 0: there are
// none.
func (p *process) group() int {
	if !group.Numbered {
		return 0
	}
	return p.cmd.Process.Pid
}

func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) endsIn(d time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// epitaph says how the program ended and what it said last.
func (p *process) epitaph() string {
	<-p.ended
	if why := p.unrunnable(); why != "" {
		return fmt.Sprintf("ended (%s): %s", p.state, why)
	}
	if last := p.talk.lastLine(); last != "" {
		return fmt.Sprintf("ended (%s): %s%s", p.state, last, p.cfg.oneItem())
	}
	return fmt.Sprintf("ended (%s)", p.state)
}

// errNoHello is what a script that only trains is told.
var errNoHello = errors.New("it ended without a hello: want a program that answers requests (docs/spec/trainer.md); in Python, fedmq_trainer.run(...) as its last line")

// silent is err, or of a program that has ended well what it lacks.
func (p *process) silent(err error) error {
	if p.endsIn(orphanTime) && p.cmd.ProcessState.Success() {
		return errNoHello
	}
	return err
}

// unrunnable says why a program that was not found by what runs it, /usr/bin/env
// or a shell, cannot be run. What those say last is of little help.
func (p *process) unrunnable() string {
	const notExecutable, notFound = 126, 127
	if code := p.cmd.ProcessState.ExitCode(); code != notExecutable && code != notFound {
		return ""
	}
	return cmp.Or(p.cfg.crlf(), wrongFile(p.cfg.Command[0], p.cfg.path()))
}

// lastWords is what a program that does not listen any more has said about the
// reason, else err.
func (p *process) lastWords(err error) error {
	p.endsIn(orphanTime)
	for {
		select {
		case h, open := <-p.lines:
			switch {
			case !open:
				return err
			case h.err != nil:
				return h.err
			case h.reply.kind == typeError && h.reply.message != "":
				return errors.New(h.reply.message)
			}
		default:
			return err
		}
	}
}
