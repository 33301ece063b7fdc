package aggregator

import (
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// lines is the released version as it is published. In parts it is read from the disk for
// as long as parts go out: it stands there for months, beside the model that is trained.
type lines struct {
	of    round.Released
	model *model.Model // nil in parts
	blob  wire.Blob
	shelf *shelf   // nil: it is inline
	to    []string // of a canary
	began int64    // likewise
}

// heldOf are the versions that stay on the disk whatever keep_models says: the best one, the
// released one, the canary, those that may be released and one that is to count again.
func heldOf(s *round.State) (versions []uint64) {
	if s.Best != nil {
		versions = append(versions, s.Best.Version)
	}
	if s.Released != nil {
		versions = append(versions, s.Released.Version)
	}
	if s.Rollback != nil {
		versions = append(versions, s.Rollback.Version)
	}
	if s.Canary != nil {
		versions = append(versions, s.Canary.Version)
	}
	for _, c := range []*round.Candidate{s.Row, s.Ready} {
		if c != nil {
			versions = append(versions, c.Version)
		}
	}
	return versions
}

// release has the version that the state names as released on the broker, once.
func (t *task) release() {
	r := t.state.Released
	if r == nil || t.published.lines.of == *r {
		return
	}
	l, err := t.linesOf(*r, t.published.topics.Released())
	if err != nil {
		t.published.lines = lines{of: *r}
		t.log.Error().Err(err).Uint64("version", r.Version).Msg("the released version cannot be published")
		return
	}
	t.published.lines.shelf.withdraw()
	t.published.lines = l
	t.step(owner.Release{Own: owner.OwnReleased, Version: r.Version, Model: owner.Model{Content: r.Model, Blob: l.blob}})
}

func (t *task) linesOf(r round.Released, at topics.Owner) (l lines, err error) {
	m := &model.Model{Schema: t.cfg.Init.Schema}
	read := func() ([]byte, error) { return t.a.store.Blob(r.Model) }
	if m.Blob, err = read(); err != nil {
		return l, err
	}
	if len(m.Blob) != m.Schema.Bytes() {
		return l, fmt.Errorf("its blob has %d bytes, a model of this task %d", len(m.Blob), m.Schema.Bytes())
	}
	l = lines{of: r}
	if l.blob, err = t.published.cut(m, model.LeavesOf(m.Blob)); err != nil {
		return l, err
	}
	if l.blob.Length == 0 {
		l.model = m
		return l, nil
	}
	l.shelf = &shelf{version: r.Version, blob: l.blob, key: l.blob.Key(), topics: at, bytes: m.Blob, read: read}
	return l, nil
}

// shelfOf has the parts of a model.
func (p *publication) shelfOf(which owner.Own) *shelf {
	if which == owner.OwnModel {
		return p.shelf
	}
	return p.linesAt(which).shelf
}

// linesAt is the released version, or the canary.
func (p *publication) linesAt(which owner.Own) *lines {
	if which == owner.OwnCanary {
		return &p.early
	}
	return &p.lines
}

// publishLines makes the message of the released version, or of the canary.
func (p *publication) publishLines(m owner.Publish, schema model.Schema, contract json.RawMessage) error {
	l := p.linesAt(m.Own)
	if l.shelf != nil {
		l.shelf.slot = m.Slot
	}
	base := l.model
	if base == nil {
		base = &model.Model{Schema: schema}
	}
	kind, at, with := wire.KindReleased, p.topics.Released(), wire.ModelMembers{Contract: contract}
	if m.Own == owner.OwnCanary {
		kind, at = wire.KindCanary, p.topics.Canary()
		with.To, with.BeganMS = l.to, uint64(l.began) // a moment
	}
	b, err := p.sealModel(kind, at, m, base, l.blob, with)
	if err != nil {
		return err
	}
	p.set(m.Own, at.Model(), b)
	return nil
}
