package aggregator

import (
	"fmt"

	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/wire"
)

// encoding is that of the configuration, in its one spelling; "" is dense.
func (t *task) encoding() string {
	name, _ := t.a.cfg.Strategies.CheckEncoding(t.cfg.Encoding, nil) // checked
	return name
}

// answersOrder refuses an update of the open round in an encoding that its order does not
// ask for (E-5). That of another round is answered by what became of that.
func (t *task) answersOrder(h wire.Header, c wire.Contribution) error {
	encoding := ""
	switch c := c.(type) {
	case wire.Update:
		encoding = c.Encoding
	case wire.Offer:
		encoding = c.Encoding
	}
	if encoding == "" || h.Round != t.state.Round {
		return nil
	}
	asked := ""
	if p := t.state.Params; p != nil && p.Work == strategy.Train {
		asked = t.settings.Encoding
	}
	if asked != "" && t.a.cfg.Strategies.Answers(asked, encoding) {
		return nil
	}
	if asked == "" {
		asked = strategy.Dense
	}
	return &wire.Refusal{
		Reason: wire.ReasonUnsupported, Stage: wire.StageDecode,
		Detail: fmt.Sprintf("the update travels as %.40q, the order wants %s; dense is taken too", encoding, asked),
	}
}

// noteEncodings tells of a member that cannot make what the task's updates travel in: its
// own travel dense.
func (t *task) noteEncodings(path string, can []string) {
	lacks := t.a.cfg.Strategies.Lacks(t.encoding(), can)
	if len(lacks) == 0 {
		delete(t.unable, path)
		return
	}
	if t.unable[path] {
		return
	}
	t.unable[path] = true
	t.log.Warn().Str("member", path).Strs("lacks", lacks).Str("encoding", t.encoding()).
		Msg("encoding: the member cannot make it; its updates travel dense")
}
