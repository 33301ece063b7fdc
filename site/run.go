package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// Run takes part in the tasks of cfg until ctx ends, and then returns nil
// after it has said that it leaves and everything it started has ended. It
// connects, and reconnects, by itself. While another process speaks for the
// member it waits without a connection. It returns an error when the
// configuration or the data directory cannot be used, when the disk fails, and
// [ErrSuperseded].
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	for waits := 0; ; waits++ {
		s, err := newSite(cfg)
		if err != nil {
			return err
		}
		err = s.run(ctx)
		var w standby
		waiting := errors.As(err, &w)
		if closed := s.disk.Close(); !waiting || closed != nil {
			return errors.Join(err, closed)
		}
		if s.served() {
			waits = 0
		}
		if !w.wait(ctx, cfg, waits) {
			return nil
		}
	}
}

// served reports whether an aggregator has taken this process for the member's.
func (s *site) served() bool {
	return slices.ContainsFunc(s.tasks, func(t *task) bool { return t.welcomed > 0 })
}

func newSite(cfg Config) (*site, error) {
	ns, err := topics.Configured(cfg.Namespace, cfg.Bulk...)
	if err != nil {
		return nil, err
	}
	opener, err := cfg.opener(ns)
	if err != nil {
		return nil, err
	}
	s := &site{
		cfg: cfg, ns: ns, opener: opener, start: cfg.Now(), line: member.NewLine(cfg.Bandwidth),
		routes: map[string]route{}, owners: map[string]*owner{},
		results: make(chan result, 1), published: make(chan published), written: make(chan *writing), failed: make(chan error), nudges: make(chan struct{}, 1),
		seeker: seeker{found: make(chan looked)}, unverified: unverified{log: cfg.Log, audit: cfg.Audit},
	}
	s.birth = s.now()
	if err := s.draw(); err != nil {
		return nil, err
	}
	if s.disk = cfg.disk; s.disk == nil {
		d, err := openDisk(cfg.DataDir, ns.Node(cfg.Member))
		if err != nil {
			return nil, err
		}
		for _, f := range d.s.Findings() {
			cfg.Log.Info().Str("finding", f).Msg("found at the start")
		}
		s.disk = d
	}
	if err := s.identify(); err != nil {
		return nil, errors.Join(err, s.disk.Close())
	}
	if err := s.setUp(); err != nil {
		return nil, errors.Join(err, s.disk.Close())
	}
	return s, nil
}

// draw draws what is new in each process.
func (s *site) draw() error {
	var seed [32]byte
	for _, b := range [][]byte{s.instance[:], seed[:]} {
		if _, err := io.ReadFull(s.cfg.Rand, b); err != nil {
			return fmt.Errorf("site: random numbers: %w", err)
		}
	}
	s.rand = rand.New(rand.NewChaCha8(seed)) // jitter
	return nil
}

// setUp loads the tasks and makes the connection.
func (s *site) setUp() error {
	for _, ct := range s.cfg.Tasks {
		t, err := s.newTask(ct)
		if err != nil {
			return err
		}
		s.tasks = append(s.tasks, t)
		s.names = append(s.names, ct.Name)
		s.stateTopic = t.member.State()
	}
	will := s.will()
	cfg := s.cfg.reach()
	cfg.Will, cfg.Log, cfg.Deepest = &will, s.cfg.Log, s.cfg.deepest(s.ns)
	cfg.MaxPacket, cfg.QueueBytes, cfg.Coalesce, cfg.Bulk = wire.MaxPart+64<<10, queueBytes, s.coalesce, s.bulk
	conn, err := link.New(cfg)
	if err != nil {
		return err
	}
	s.conn = conn
	for _, t := range s.tasks {
		s.subscribe(t)
	}
	return nil
}

// queueBytes bounds what has arrived and was not read yet: all parts that may be
// asked for at once, but for the largest, which are asked for again.
const queueBytes = 16 << 20

// newTask is a task as it stood when the process before ended.
func (s *site) newTask(ct Task) (*task, error) {
	t := &task{Task: ct, samples: ct.Trainer.Samples(), data: dataOf(ct.Trainer)}
	t.view.Phase = PhaseIdle
	if err := t.place(s.ns, s.cfg.Member); err != nil {
		return nil, err
	}
	had, err := s.disk.Load(ct.Name)
	if err != nil {
		return nil, err
	}
	t.control = had.Control
	for i := range had.Entries {
		if err := s.readEntry(t, &had.Entries[i]); err != nil {
			return nil, err
		}
		if e := had.Entries[i]; e.Blob != (wire.BlobKey{}) {
			s.syncLater(e.Content)
		}
	}
	_, statistics := ct.Trainer.(trainer.Statistician)
	_, survey := ct.Trainer.(trainer.Surveyor)
	cfg := member.Config{Path: s.cfg.Member, Instance: s.instance, Statistics: statistics || survey, Bulk: s.cfg.Bulk, Line: s.line, Rand: s.rand}
	t.feedback.Store(&had.Left)
	t.m = member.New(cfg, had.State, had.Entries, had.Model, had.Cut)
	return t, nil
}

// run serves until ctx ends or the site must stop, and leaves politely.
func (s *site) run(ctx context.Context) error {
	linkCtx, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	life, end := context.WithCancel(linkCtx)
	defer end()
	s.life = life
	if err := s.oneCluster(ctx); err != nil {
		return err
	}
	ended := make(chan error, 1)
	s.goes.Go(func() { ended <- s.conn.Run(linkCtx) })
	err := s.loop(ctx.Done(), ended) //nolint:contextcheck // what it starts ends with s.life
	end()
	if !errors.Is(err, ErrSuperseded) && !errors.As(err, new(standby)) {
		// Another process has said that the node is online: do not contradict it.
		s.sayGoodbye()
	}
	cut()
	s.goes.Wait()
	return errors.Join(err, s.dropReceived(), s.end())
}

// end makes durable what is not, when nothing is under way any more.
func (s *site) end() error {
	var errs []error
	for _, t := range s.tasks {
		errs = append(errs, s.atRest(t))
	}
	return errors.Join(errs...)
}

// sayGoodbye says that the site leaves.
func (s *site) sayGoodbye() {
	for _, t := range s.tasks {
		t.view = member.View{Phase: PhaseIdle, Round: t.view.Round, Attempt: t.view.Attempt, Message: "stopped"}
		s.publishStatus(t, 1)
	}
	s.conn.Post(s.state(false)) // in the queue of the presence, which would else overtake it
}
