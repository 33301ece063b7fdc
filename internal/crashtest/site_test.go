//go:build fedmqtest

package crashtest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

// siteEnv holds the siteConfig of a process that is a site.
const siteEnv = "FEDMQ_CRASHTEST_SITE"

type siteConfig struct {
	Broker, Member, Dir string
	Samples             int
	TrainMS             int // a training takes at least this long
}

// TestMain makes this binary a site where the environment says so: the tests
// run it again as a process of its own.
func TestMain(m *testing.M) {
	text := os.Getenv(siteEnv)
	if text == "" {
		flag.Parse()
		os.Exit(m.Run())
	}
	var c siteConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := site.Run(ctx, site.Config{
		Broker: c.Broker, Namespace: namespace, Member: c.Member, DataDir: c.Dir,
		Tasks: []site.Task{{Name: task, Trainer: seeded{c}}},
		Log:   zerolog.New(os.Stderr).With().Timestamp().Logger(),
	})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// seeded adds to every weight noise that follows from member and round.
type seeded struct{ c siteConfig }

func (s seeded) Samples() int { return s.c.Samples }

func (s seeded) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	done := time.After(time.Duration(s.c.TrainMS) * time.Millisecond)
	out := global.Clone()
	h := fnv.New64a()
	fmt.Fprint(h, job.Member)
	rng := rand.NewPCG(h.Sum64(), job.Round)
	v, err := out.Float32s("weight")
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(v); i += 2 {
		x := rng.Uint64()
		v[i] += float32(int32(x)) / (1 << 36)
		if i+1 < len(v) {
			v[i+1] += float32(int32(x>>32)) / (1 << 36)
		}
	}
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return out, out.SetFloat32s("weight", v)
}

// Evaluate reports numbers that follow from member and round.
func (s seeded) Evaluate(_ context.Context, job trainer.Job, _ *model.Model) (trainer.Evaluation, error) {
	h := fnv.New64a()
	fmt.Fprint(h, job.Member, job.Round)
	x := binary.LittleEndian.Uint16(h.Sum(nil))
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: 10, trainer.SumSE: float64(x) / 3}}, nil
}
