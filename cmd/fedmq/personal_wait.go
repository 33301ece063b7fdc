package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/topics"
)

// personalName is the file in an aggregator's data directory with what its sites made of the
// released version for themselves, where fedmq up has seen it.
const personalName = "personal.json"

// personalModels are what sites say of theirs, by task and member.
type personalModels map[string]map[string]site.PersonalStatus

// readPersonal reads the file; empty where there is none.
func readPersonal(dataDir string) (p personalModels, err error) {
	b, err := os.ReadFile(filepath.Join(dataDir, personalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	return p, err
}

// personalWait waits, after the end of the tasks of a folder, for what their sites train for
// themselves.
type personalWait struct {
	client clientFlags // at the broker, as the aggregator
	cfg    aggregator.Config
	log    zerolog.Logger
	began  int64                // what is older, in ms, is of another run
	status map[string][2]string // task and member, by the topic of the status
	found  personalModels
}

// newPersonalWait is for the sites with these files. Without personalise in any of them there is
// nothing to wait for.
func newPersonalWait(cfg aggregator.Config, client clientFlags, log zerolog.Logger, files []siteFile) (*personalWait, error) {
	p := &personalWait{client: client, cfg: cfg, log: log, began: time.Now().UnixMilli(), status: map[string][2]string{}, found: personalModels{}}
	ns, err := topics.New(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		for _, t := range f.Tasks {
			has := slices.ContainsFunc(cfg.Tasks, func(a aggregator.Task) bool { return a.Name == t.Name })
			if t.Personalise == nil || !has {
				continue
			}
			m, err := ns.Member(f.Member, t.Name)
			if err != nil {
				return nil, err
			}
			p.status[m.Status()] = [2]string{t.Name, f.Member}
		}
	}
	return p, nil
}

// personalHeard is how long a site may take to hear of the version that was released.
const personalHeard = 30 * time.Second

// wait ends when every site has said what it made of the released version. The aggregator has
// ended, the broker and the sites have not.
func (p *personalWait) wait(ctx context.Context) error {
	want, err := p.released()
	if err != nil || len(want) == 0 {
		return err
	}
	var filters []link.Filter
	for topic, of := range p.status {
		if _, ok := want[of[0]]; ok {
			filters = append(filters, link.Filter{Topic: topic, QoS: 1})
		}
	}
	cl, err := p.client.connect(ctx, p.log, "up", filters...)
	if err != nil {
		return err
	}
	err = p.collect(ctx, cl, want, len(filters))
	return errors.Join(err, cl.stop(), p.save())
}

// released are the versions that the tasks have released.
func (p *personalWait) released() (map[string]uint64, error) {
	out := map[string]uint64{}
	for _, of := range p.status {
		st, err := roundState(p.cfg.DataDir, of[0])
		if err != nil {
			return nil, err
		}
		if st != nil && st.Released != nil {
			out[of[0]] = st.Released.Version
		}
	}
	return out, nil
}

// collect takes what the sites say, until n of them are done with the version wanted.
func (p *personalWait) collect(ctx context.Context, cl *client, want map[string]uint64, n int) error {
	heard, done, late := map[string]bool{}, map[string]bool{}, time.Now().Add(personalHeard)
	for len(done) < n {
		patience := time.Duration(1<<62 - 1)
		if len(heard) < n {
			patience = max(time.Until(late), 1)
		}
		m, err := cl.next(ctx, patience, func(link.Message) bool { return true })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && len(heard) < n && !time.Now().Before(late):
			p.sayMissing(heard)
			n = len(heard)
			continue
		case err != nil: // a lost connection comes back
			continue
		}
		var s site.Status
		of, ok := p.status[m.Topic]
		if !ok || json.Unmarshal(m.Payload, &s) != nil || s.TimestampMS < p.began || s.Personal == nil || s.Personal.Version != want[of[0]] {
			continue
		}
		heard[m.Topic] = true
		if s.Personal.Done || s.Personal.Note != "" {
			done[m.Topic] = true
			p.take(of, *s.Personal)
		}
	}
	return nil
}

func (p *personalWait) take(of [2]string, s site.PersonalStatus) {
	if p.found[of[0]] == nil {
		p.found[of[0]] = map[string]site.PersonalStatus{}
	}
	p.found[of[0]][of[1]] = s
}

// sayMissing names who has not heard of the released version.
func (p *personalWait) sayMissing(heard map[string]bool) {
	for topic, of := range p.status {
		if !heard[topic] {
			p.log.Warn().Str("task", of[0]).Str("member", of[1]).Msgf("this site has said nothing of the released version within %s, and is not waited for: may it read the topic released?", personalHeard)
		}
	}
}

// save writes what was found into the aggregator's data directory.
func (p *personalWait) save() error {
	if len(p.found) == 0 {
		return nil
	}
	b, err := json.Marshal(p.found)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.cfg.DataDir, personalName), append(b, '\n'), 0o600)
}

// personalText is what a site has made of the released version for itself, in words.
func personalText(s site.PersonalStatus) string {
	switch {
	case s.Metric == "" || s.Own == nil || s.Global == nil:
		return fmt.Sprintf("version %d: none, %s", s.Version, s.Note)
	case s.Used:
		return fmt.Sprintf("version %d: %s %.4g, released %.4g, on %d rows of its own: its own is used", s.Version, s.Metric, *s.Own, *s.Global, s.Rows)
	}
	return fmt.Sprintf("version %d: %s %.4g, released %.4g, on %d rows of its own: not better, the released one is used", s.Version, s.Metric, *s.Own, *s.Global, s.Rows)
}
