package exec

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Mode is how often the program is started.
type Mode string

// The modes.
const (
	ModeWorker   Mode = "worker"    // once; it answers requests until its standard input ends
	ModePerRound Mode = "per_round" // for each request, which it finds in its environment
)

// Config says which program trains, and how it is kept in check.
type Config struct {
	Command []string // the program and its arguments; required
	Mode    Mode     // default ModeWorker
	Dir     string   // working directory of the program, and what a relative Command[0] is relative to; default: this process's
	Files   string   // directory of the files of requests, for one trainer alone; made when missing; required

	Task, Member string // told to the program

	Start   time.Duration // until the program says hello, from its start or its last progress; default 5 minutes
	Timeout time.Duration // of one request; default 0: none but the request's context
	Nice    int           // niceness of the program and its children, 1 to 19; default 0: this process's
	Memory  int64         // bytes of data that each of its processes may have; default 0: no limit

	Log zerolog.Logger // what the program prints, starts and ends; default: silent

	times    times         // tests
	extra    []string      // environment of the program
	stopping chan struct{} // closed: the trainer ends
	glued    *atomic.Bool  // a message without a line of its own was spoken of
}

// usualStart is how long a program may load.
const usualStart = 5 * time.Minute

// times are the patience of.
type times struct {
	cancel time.Duration // until a cancelled request is answered
	bye    time.Duration // until a program ends that has closed its output
	ask    time.Duration // until an idle program ends whose standard input has ended, at the end of the trainer
	last   time.Duration // from the end of the trainer to SIGKILL
	term   time.Duration // from SIGTERM to SIGKILL
	first  time.Duration // least pause before a start after a failure; doubles
	most   time.Duration // largest such pause
}

var usual = times{
	cancel: 5 * time.Second, bye: 5 * time.Second, term: 10 * time.Second,
	ask: 2 * time.Second, last: 5 * time.Second,
	first: time.Second, most: 30 * time.Second,
}

// Validate reports everything that is wrong with the configuration at once.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Command) == 0 || c.Command[0] == "" {
		bad("command: missing; want the program and its arguments as a list")
	}
	switch c.Mode {
	case "", ModeWorker, ModePerRound:
	default:
		bad("mode: %q, want %s or %s", c.Mode, ModeWorker, ModePerRound)
	}
	if c.Files == "" {
		bad("no directory for files")
	}
	if c.Start < 0 {
		bad("start: %v, want more than 0", c.Start)
	}
	if c.Timeout < 0 {
		bad("timeout: %v, want 0 (none) or more", c.Timeout)
	}
	if c.Nice < 0 || c.Nice > 19 {
		bad("nice: %d, want 0 to 19", c.Nice)
	}
	switch {
	case c.Memory < 0:
		bad("memory: %d bytes, want 0 (no limit) or more", c.Memory)
	case c.Memory > 0 && !limitsMemory:
		bad("memory: this operating system cannot limit it")
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Mode == "" {
		c.Mode = ModeWorker
	}
	if c.Start == 0 {
		c.Start = usualStart
	}
	if c.times == (times{}) {
		c.times = usual
	}
	c.glued, c.stopping = new(atomic.Bool), make(chan struct{})
	return c
}

// name is the program in messages.
func (c Config) name() string {
	const most = 80
	s := strings.Join(c.Command, " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-3], "") + "..."
	}
	return s
}
