package tabular

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

// Fit trains m on the training rows of d, as a round of a federation does, and
// returns the result; m is not changed. progress, if not nil, is called after
// each epoch. With the model's z-score taken from d this is a site on its own;
// with the rows of all sites merged, training in one place.
func Fit(ctx context.Context, m *model.Model, d *Data, s Settings, seed [32]byte, progress func(done, total int)) (*model.Model, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	out, _, err := fit(ctx, m, d, s, trainer.Job{Seed: seed, Progress: progress})
	return out, err
}

// fit returns the trained model, and the scalars that the job needs.
func fit(ctx context.Context, m *model.Model, d *Data, s Settings, job trainer.Job) (*model.Model, map[string]float64, error) {
	r, err := prepare(m, d, s, job)
	if err != nil {
		return nil, nil, err
	}
	scalars := map[string]float64{trainer.ScalarLR: s.LR, trainer.ScalarMomentum: s.Momentum}
	if job.Wants(trainer.NeedLoss0) {
		if scalars[trainer.ScalarLoss0], err = r.meanLoss(ctx); err != nil {
			return nil, nil, err
		}
	}
	for epoch := range s.Epochs {
		if err := r.epoch(ctx); err != nil {
			return nil, nil, err
		}
		job.Report(epoch+1, s.Epochs)
	}
	scalars[trainer.ScalarSteps] = float64(r.steps)
	out, err := r.write(m)
	return out, scalars, err
}

// prepare begins a local training.
func prepare(m *model.Model, d *Data, s Settings, job trainer.Job) (*run, error) {
	rows := &d.Train
	if rows.N == 0 {
		return nil, fmt.Errorf("tabular: no training rows")
	}
	if err := s.suits(job); err != nil {
		return nil, err
	}
	batch := s.Batch
	if batch == 0 || batch > rows.N {
		batch = rows.N
	}
	n, err := newNetwork(m, d, batch)
	if err != nil {
		return nil, err
	}
	r := &run{
		network: n, data: d, settings: s, rng: job.Rand(), batch: batch,
		want: make([]float64, min(batch, chunkRows)), order: make([]int, rows.N), optimizer: newOptimizer(s, len(n.params)),
	}
	if s.ClassWeight != "" {
		if n.balance, err = balance(m, d); err != nil {
			return nil, err
		}
	}
	for i := range r.order {
		r.order[i] = i
	}
	if r.steering, err = steer(n, job); err != nil {
		return nil, err
	}
	return r, nil
}

// run is one local training on mini-batches.
type run struct {
	*network
	data     *Data
	settings Settings
	rng      *rand.Rand
	batch    int
	order    []int
	want     []float64 // wanted outputs of a chunk
	steps    int       // taken
	steering           // what the strategy adds to every gradient
	optimizer
}

func (r *run) epoch(ctx context.Context) error {
	if r.batch < len(r.order) {
		r.rng.Shuffle(len(r.order), func(i, j int) { r.order[i], r.order[j] = r.order[j], r.order[i] })
	}
	for from := 0; from < len(r.order); from += r.batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch := r.order[from:min(from+r.batch, len(r.order))]
		r.gradient(&r.data.Train, batch)
		r.step()
	}
	return nil
}

// gradient computes the gradient of the mean loss over the rows given, and
// returns the sum of the loss.
func (r *run) gradient(rows *Rows, batch []int) (loss float64) {
	weight := 1 / float64(len(batch))
	for from := 0; from < len(batch); from += chunkRows {
		chunk := batch[from:min(from+chunkRows, len(batch))]
		r.load(r.want, rows, r.data.pipe, chunk)
		r.forward(len(chunk))
		loss += r.loss(r.want[:len(chunk)], weight)
		r.backward(len(chunk), from == 0)
	}
	return loss
}

// meanLoss is that of the model as it is, over all training rows.
func (r *run) meanLoss(ctx context.Context) (float64, error) {
	var sum float64
	for from := 0; from < len(r.order); from += len(r.want) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		chunk := r.order[from:min(from+len(r.want), len(r.order))]
		r.load(r.want, &r.data.Train, r.data.pipe, chunk)
		r.forward(len(chunk))
		sum += r.loss(r.want[:len(chunk)], 1)
	}
	return sum / float64(len(r.order)), nil
}

// load puts the scaled inputs of the rows at the positions given into act[0],
// and what the outputs should be into want.
func (n *network) load(want []float64, rows *Rows, p *pipeline.Pipeline, at []int) {
	dim := n.layers[0].in
	for i, row := range at {
		n.scale.Input(n.act[0][i*dim:(i+1)*dim], rows.X[row*dim:(row+1)*dim])
		want[i] = rows.Y[row]
		if n.classes == 0 {
			want[i] = p.Output(rows.Y[row])
		}
	}
}

// write returns a copy of m with the parameters of n.
func (n *network) write(m *model.Model) (*model.Model, error) {
	out := m.Clone()
	for i, l := range n.layers {
		if err := narrow(out, model.WeightName(i), l.w); err != nil {
			return nil, err
		}
		if err := narrow(out, model.BiasName(i), l.b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// narrow stores values as the f32 tensor name of m.
func narrow(m *model.Model, name string, values []float64) error {
	to := make([]float32, len(values))
	for j, v := range values {
		to[j] = float32(v)
		if f := float64(to[j]); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("tabular: training diverged: %s is not finite; try a smaller lr, or max_grad_norm", name)
		}
	}
	return m.SetFloat32s(name, to)
}
