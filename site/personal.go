package site

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// Personalise has a site train each version that a task releases once more, on its own rows and
// for itself (S-57). The model stays at the site, and is used where it is better there.
type Personalise struct {
	Epochs   int     // setting epochs of that training; default 5
	LRFactor float64 // times the setting lr of the task; default 0.5
	Metric   string  // that decides, over the site's validation rows; default: the one shown first of these rows
}

func (p Personalise) withDefaults() Personalise {
	p.Epochs, p.LRFactor = cmp.Or(p.Epochs, 5), cmp.Or(p.LRFactor, 0.5)
	return p
}

// The settings of a trainer that it sets.
const (
	settingEpochs = "epochs"
	settingLR     = "lr"
)

// check says what of it cannot be, with a trainer.
func (p Personalise) check(t trainer.Trainer) error {
	p = p.withDefaults()
	if p.Epochs < 1 || p.Epochs > 100_000 {
		return fmt.Errorf("epochs: want 1 to 100000, not %d", p.Epochs)
	}
	if !(p.LRFactor > 0 && p.LRFactor <= 10) {
		return fmt.Errorf("lr_factor: want more than 0, up to 10, not %v", p.LRFactor)
	}
	if _, known := trainer.Better(p.Metric); p.Metric != "" && !known {
		return fmt.Errorf("metric: whether less or more of %.40s is better is not known; want loss, rmse, mae, r2, accuracy, macro_f1, balanced_accuracy, roc_auc, average_precision, log_loss or bias", p.Metric)
	}
	measured := slices.DeleteFunc(trainer.MeasuresOf(t), func(name string) bool {
		_, known := trainer.Better(name)
		return !known
	})
	if p.Metric != "" && measured != nil && !slices.Contains(measured, p.Metric) {
		return fmt.Errorf("metric: the trainer of this task measures no %s; want one of %s", p.Metric, cmp.Or(strings.Join(measured, ", "), "another trainer's: this one measures nothing that is better by more or by less"))
	}
	if _, ok := t.(trainer.Evaluator); !ok {
		return errors.New("the trainer measures no model, so that nobody can say which is better: want a trainer.Evaluator")
	}
	for _, name := range []string{settingEpochs, settingLR} {
		if known := trainer.SettingsOf(t); known != nil && !slices.Contains(known, name) {
			return fmt.Errorf("the trainer has no setting %s, which the training for the site itself sets; it has %q", name, known)
		}
	}
	return nil
}

// settings are those of a training for the site itself: the task's, with other epochs and a
// share of its learning rate.
func (p Personalise) settings(task json.RawMessage, t trainer.Trainer) (json.RawMessage, error) {
	set := map[string]json.RawMessage{}
	if err := (trainer.Job{Settings: task}).Decode(&set); err != nil {
		return nil, err
	}
	lr := trainer.LROf(t)
	if raw, ok := set[settingLR]; ok && json.Unmarshal(raw, &lr) != nil || !(lr > 0) {
		return nil, errors.New("lr_factor: train of the aggregator's configuration has no number lr above 0, of which the site could take a share: want one there")
	}
	for name, v := range map[string]any{settingEpochs: p.Epochs, settingLR: lr * p.LRFactor} {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		set[name] = raw
	}
	return json.Marshal(set)
}

// terms are what the last order of training here said of it.
type terms struct {
	Settings json.RawMessage `json:"settings"`
	Seed     uint64          `json:"seed"`
	Locals   model.Locals    `json:"locals"`
}

// personal is what the training for the site itself made of a released version. It is of use as
// long as no other one is released.
type personal struct {
	Epoch   uint64       `json:"epoch"`
	Version uint64       `json:"version"`
	Base    model.Hash   `json:"base"`    // content id of the released version
	By      Personalise  `json:"by"`      // how it was made
	Content model.Hash   `json:"content"` // of the file
	Schema  model.Schema `json:"schema"`
	Compared
}

// Compared says which of two models is better at a site.
type Compared struct {
	Metric string  `json:"metric"`
	Rows   int     `json:"rows"` // that both were measured on; the site does not train on them
	Own    float64 `json:"own"`
	Global float64 `json:"global"`
	Used   bool    `json:"used"` // the own one is better
}

// compare holds the site's own model against the global one.
func compare(metric string, own, global trainer.Evaluation) (c Compared, err error) {
	pooled := trainer.Pool([]trainer.Evaluation{global})
	if metric == "" {
		if metric, _ = pooled.Shown("", nil); metric == "" {
			return c, errors.New("the trainer tells neither loss, rmse nor accuracy: want metric")
		}
	}
	score, ok := pooled.Scores[metric]
	if !ok || !finite(score.Value) {
		return c, fmt.Errorf("the released version has no %s here", metric)
	}
	mine, ok := trainer.Pool([]trainer.Evaluation{own}).Scores[metric]
	if !ok || !finite(mine.Value) {
		return c, fmt.Errorf("the own model has no %s", metric)
	}
	better, _ := trainer.Better(metric)
	return Compared{Metric: metric, Rows: int(score.Rows), Own: mine.Value, Global: score.Value, Used: better(mine.Value, score.Value)}, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// noteTerms keeps what an order of training says, for a training of the site's own.
func (s *site) noteTerms(t *task, j member.Job) {
	f, now := t.left(), &terms{Settings: j.Settings, Seed: j.Seed, Locals: j.Locals}
	if t.Personalise == nil || j.Work != wire.WorkTrain || f.Terms.equal(now) {
		return
	}
	f.Terms = now
	s.setFeedback(t, f)
}

func (t *terms) equal(o *terms) bool {
	return t != nil && string(t.Settings) == string(o.Settings) && t.Seed == o.Seed && slices.Equal(t.Locals.Keep, o.Locals.Keep) && slices.Equal(t.Locals.Share, o.Locals.Share)
}
