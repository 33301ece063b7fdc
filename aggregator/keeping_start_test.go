package aggregator

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// BenchmarkStart starts an aggregator on a directory of a thousand rounds, as far
// as the network. peak-MB is the most memory that the process had, pages of
// state.db among it. FEDMQ_BENCH_MEMBERS is the number of members: with 10000
// the directory has 5 GB and takes minutes to make. It stays in FEDMQ_BENCH_DIR if that
// is set.
func BenchmarkStart(b *testing.B) {
	const rounds = 1000
	members, err := strconv.Atoi(cmp.Or(os.Getenv("FEDMQ_BENCH_MEMBERS"), "10"))
	if err != nil {
		b.Fatal(err)
	}
	cfg := keptConfig(b)
	if dir := os.Getenv("FEDMQ_BENCH_DIR"); dir != "" {
		cfg.DataDir = dir
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "state.db")); err != nil {
		longTask(b, cfg, members, rounds)
	}
	debug.FreeOSMemory()
	forgetPeak(b)
	b.ReportAllocs()
	for b.Loop() {
		st, err := store.Open(cfg.DataDir, store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		a, err := newAggregator(keptAs(cfg), st)
		if err != nil {
			b.Fatal(err)
		}
		if n := a.order[0].last.Round; n != rounds {
			b.Fatalf("the last round is %d", n)
		}
		if err := st.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(peak(b), "peak-MB")
}

func keptConfig(t testing.TB) Config {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{4}})
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Broker: "tcp://127.0.0.1:1", Namespace: "acme", DataDir: t.TempDir(), Log: zerolog.Nop(),
		Tasks: []Task{{Name: "quality", Members: []string{"+/line-1"}, Rounds: 1e6, Init: model.New(s)}},
	}.withDefaults()
}

// keptAs is the configuration for one more start, which uses the models up.
func keptAs(cfg Config) Config {
	cfg.Tasks = append([]Task(nil), cfg.Tasks...)
	return cfg
}

// longTask writes the directory of a task that has run for so many rounds.
func longTask(t testing.TB, cfg Config, members, rounds int) {
	t.Helper()
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAggregator(keptAs(cfg), st)
	if err != nil {
		t.Fatal(err)
	}
	task := a.order[0]
	places, entries := make([]round.Place, members), make(record.Entries, members)
	for i := range members {
		path := fmt.Sprintf("plant-%05d/line-1", i)
		places[i] = round.Place{Index: uint32(i), Member: round.Member{Path: path, Samples: 1000, Host: "plant"}}
		entries[i] = record.Entry{
			Member: path, Index: uint32(i), Samples: 1000, Weight: 1000, Norm: 0.123456789, Bytes: 1 << 20,
			Verdict: verdict.Counted, Metrics: record.Values{"loss": 0.123456789, "n": 1000},
		}
	}
	for n := uint64(1); n <= uint64(rounds); n++ {
		base := task.keeping.versions[len(task.keeping.versions)-1].content
		blob := []byte(fmt.Sprintf("%016d", n))
		id := model.ContentOf(blob)
		if err := st.PutBlob(id, blob, false); err != nil {
			t.Fatal(err)
		}
		for i := range entries {
			entries[i].Content = model.ContentOf([]byte(fmt.Sprint(n, i)))
		}
		r, err := task.sealed(record.Record{
			Round: n, Attempt: 1, Epoch: 1, Verdict: record.Committed, Work: "train", Base: base, Model: id, Version: n,
			Strategy: record.Strategy{Name: "fedavg", Cap: 1 << 20, Weights: "samples"}, Entries: entries,
			Metrics: record.Metrics{"loss": {Value: record.Number(1 / float64(n)), Sites: members}}, OpenedMS: int64(n), ClosedMS: int64(n), CommittedMS: int64(n),
		}, task.keeping.tip)
		if err != nil {
			t.Fatal(err)
		}
		s := *task.state
		s.Epoch, s.Round, s.Version, s.Base, s.Record = 1, n+1, n, id, r.Hash
		if err := st.Update(func(tx *store.Tx) error {
			if err := task.keeping.write(tx, r); err != nil {
				return err
			}
			save := round.Save{State: &s}
			if n == 1 {
				save.Members = places
			}
			return task.saveState(tx, save)
		}); err != nil {
			t.Fatal(err)
		}
		task.state = &s
		task.keeping.took(r)
		task.keeping.export(r.Round, r.Attempt, r.Bytes)
		if err := task.keeping.retire(nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

// forgetPeak has the kernel measure from here on; where it cannot, peak is that
// of the whole process.
func forgetPeak(b *testing.B) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log(err)
	}
}

// peak is the most memory that the process had, in MB; 0 where no file says it.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Log(err)
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1000
		}
	}
	return 0
}
