package aggregator_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

func initial(t testing.TB, specs ...model.Spec) *model.Model {
	t.Helper()
	if len(specs) == 0 {
		specs = []model.Spec{{Name: "w", DType: model.F32, Shape: []int{4}}}
	}
	s, err := model.NewSchema(specs...)
	if err != nil {
		t.Fatal(err)
	}
	return model.New(s)
}

func config(t testing.TB) aggregator.Config {
	t.Helper()
	return aggregator.Config{
		Broker: "tcp://127.0.0.1:1883", Namespace: "acme", DataDir: t.TempDir(),
		Tasks: []aggregator.Task{{Name: "quality", Members: []string{"+/line-1"}, Rounds: 3, Init: initial(t)}},
	}
}

// needing is a strategy that takes so many updates at least.
func needing(n int) strategy.Registry {
	return strategy.Registry{Strategies: []strategy.Strategy{needs{strategy.Linear{ID: "needing"}, n}}}
}

type needs struct {
	strategy.Linear
	n int
}

func (s needs) Minimum() int { return s.n }

// own is a trainer of the aggregator's own.
type own struct{ trainer.Trainer }

// Every fault is named by the key that an operator has to change.
func TestValidate(t *testing.T) {
	t.Parallel()
	signer, err := wire.NewSigner(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	nan := initial(t)
	if err := nan.SetFloat32s("w", []float32{0, 0, float32(math.NaN()), 0}); err != nil {
		t.Fatal(err)
	}
	grid := func(b int) *int { return &b }
	type c = *aggregator.Config
	type tk = *aggregator.Task
	for name, x := range map[string]struct {
		change func(c, tk)
		want   string // "": valid
	}{
		"as it is":           {func(c, tk) {}, ""},
		"encoding":           {func(_ c, t tk) { t.Encoding = "topk:.01+zstd" }, ""},
		"another encoding":   {func(_ c, t tk) { t.Encoding = "gzip" }, `encoding: encoding "gzip": unknown`},
		"encoding's range":   {func(_ c, t tk) { t.Encoding = "q8:8" }, "encoding: encoding \"q8:8\": a block of \"8\" values, want 16 to 4096"},
		"no broker":          {func(c c, _ tk) { c.Broker = "" }, "broker:"},
		"dialled":            {func(c c, _ tk) { c.Broker, c.Dial = "", func(context.Context) (net.Conn, error) { return nil, nil } }, ""},
		"no namespace":       {func(c c, _ tk) { c.Namespace = "" }, "namespace:"},
		"bad namespace":      {func(c c, _ tk) { c.Namespace = "a/+" }, "namespace:"},
		"bulk in the tree":   {func(c c, _ tk) { c.Bulk = c.Namespace + "/x" }, "bulk: topics: not in the grammar: bulk"},
		"bad owner":          {func(c c, _ tk) { c.Owner = "a//b" }, "owner:"},
		"no data":            {func(c c, _ tk) { c.DataDir = "" }, "data_dir:"},
		"key without list":   {func(c c, _ tk) { c.Signer = signer }, "keys:"},
		"list without key":   {func(c c, _ tk) { c.Keys = []wire.Key{{Path: "a", Role: topics.RoleSite}} }, "keys:"},
		"small parts":        {func(c c, _ tk) { c.PartSize = 100 }, "part_size:"},
		"large parts":        {func(c c, _ tk) { c.PartSize = 5 << 20 }, "part_size:"},
		"no tasks":           {func(c c, _ tk) { c.Tasks = nil }, "tasks:"},
		"one name twice":     {func(c c, _ tk) { c.Tasks = append(c.Tasks, c.Tasks[0]) }, `name "quality" stands twice`},
		"bad name":           {func(_ c, t tk) { t.Name = "Quality" }, "tasks[0]"},
		"reserved name":      {func(_ c, t tk) { t.Name = "state" }, "tasks[0]"},
		"no members":         {func(_ c, t tk) { t.Members = nil }, "members:"},
		"bad members":        {func(_ c, t tk) { t.Members = []string{"a/#"} }, "members:"},
		"no rounds":          {func(_ c, t tk) { t.Rounds = 0 }, "rounds:"},
		"negative quorum":    {func(_ c, t tk) { t.Quorum = -1 }, "quorum:"},
		"huge quorum":        {func(_ c, t tk) { t.Quorum = 1 << 20 }, "quorum:"},
		"early start":        {func(_ c, t tk) { t.Quorum, t.StartWhen = 3, 2 }, "start_when:"},
		"huge start":         {func(_ c, t tk) { t.StartWhen = 1 << 20 }, "start_when:"},
		"low goal":           {func(_ c, t tk) { t.Quorum, t.Goal = 3, 2 }, "goal:"},
		"negative goal":      {func(_ c, t tk) { t.Goal = -1 }, "goal:"},
		"short deadline":     {func(_ c, t tk) { t.Deadline = time.Millisecond }, "deadline:"},
		"endless deadline":   {func(_ c, t tk) { t.Deadline = math.MaxInt64 }, "deadline:"},
		"negative join wait": {func(_ c, t tk) { t.JoinWait = -1 }, "join_wait:"},
		"no sample":          {func(_ c, t tk) { t.Sample = -0.1 }, "sample:"},
		"NaN sample":         {func(_ c, t tk) { t.Sample = math.NaN() }, "sample:"},
		"more than all":      {func(_ c, t tk) { t.Sample = 1.1 }, "sample:"},
		"strategy":           {func(_ c, t tk) { t.Strategy = "fedsomething" }, "strategy:"},
		"parameter":          {func(_ c, t tk) { t.StrategyParams = strategy.Settings{"f": 1} }, `strategy fedavg: it has no parameter "f"`},
		"server":             {func(_ c, t tk) { t.Server = "fedsomething" }, `server optimiser "fedsomething", known: sgd`},
		"server parameter":   {func(_ c, t tk) { t.ServerParams = strategy.Settings{"eta": 0} }, "server optimiser sgd: eta: 0, want above 0"},
		"few members":        {func(_ c, t tk) { t.Quorum, t.Members = 3, []string{"a/line-1", "b/line-1"} }, "members: 2, and the quorum is 3: no round"},
		"root missing":       {func(_ c, t tk) { t.Strategy = "fltrust" }, "strategy.root: missing; strategy fltrust wants a trainer of the aggregator's own"},
		"root in vain":       {func(_ c, t tk) { t.Root = own{} }, "strategy.root has no effect with strategy fedavg"},
		"root, weights":      {func(_ c, t tk) { t.Strategy, t.Root, t.Weights = "fltrust", own{}, "sqrt" }, "strategy.weights: \"sqrt\""},
		"few for all": {func(c c, t tk) {
			c.Strategies, t.Strategy, t.StartWhen = needing(5), "needing", 4
		}, "start_when: 4 is below the quorum of 5 (strategy needing needs 5 updates with these parameters)"},
		"many for all": {func(c c, t tk) {
			c.Strategies, t.Strategy = needing(1<<14+1), "needing"
		}, "strategy needing needs 16385 updates in a round, and a task has at most 16384 members: want fewer"},
		"more taken than there can be": {func(_ c, t tk) {
			t.Strategy, t.StrategyParams = "multi_krum", strategy.Settings{"f": 1, "m": 1 << 14}
		}, "strategy multi_krum with f: 1, m: 16384 needs 16385 updates"},
		"low goal for all": {func(c c, t tk) {
			c.Strategies, t.Strategy, t.Goal = needing(5), "needing", 4
		}, "goal: 4 is below the quorum of 5 (strategy needing needs 5"},
		"weights":            {func(_ c, t tk) { t.Weights = "rows" }, "strategy.weights:"},
		"cap":                {func(_ c, t tk) { t.Cap = 1 << 30 }, "strategy.cap:"},
		"grid":               {func(_ c, t tk) { t.GridB = grid(25) }, "strategy.grid_b:"},
		"lowest grid":        {func(_ c, t tk) { t.GridB = grid(-16) }, ""},
		"keep updates":       {func(_ c, t tk) { t.KeepUpdates = "some" }, "keep_updates:"},
		"metric":             {func(_ c, t tk) { t.Metric = "a b" }, "metric:"},
		"metric of a kind":   {func(_ c, t tk) { t.Metric = "pinball" }, ""},
		"threshold":          {func(_ c, t tk) { t.Threshold = "recall>=2" }, "threshold: want f1, or recall>=R"},
		"threshold of f1":    {func(_ c, t tk) { t.Threshold = "f1" }, ""},
		"keep models":        {func(_ c, t tk) { t.KeepModels = -2 }, "keep_models:"},
		"settings":           {func(_ c, t tk) { t.Train = json.RawMessage(`[1]`) }, "train:"},
		"no settings":        {func(_ c, t tk) { t.Train = json.RawMessage(`null`) }, "train:"},
		"long settings":      {func(_ c, t tk) { t.Train = json.RawMessage(`{"a":"` + strings.Repeat("x", 1<<14) + `"}`) }, "train:"},
		"no model":           {func(_ c, t tk) { t.Init = nil }, "model:"},
		"torn model":         {func(_ c, tk tk) { tk.Init = initial(t); tk.Init.Blob = tk.Init.Blob[1:] }, "model:"},
		"model of no number": {func(_ c, t tk) { t.Init = nan }, "model:"},
		"large model":        {func(_ c, tk tk) { tk.Init = initial(t, model.Spec{Name: "w", DType: model.F32, Shape: []int{40_000}}) }, ""},
		"large model, small parts": {func(c c, tk tk) {
			c.PartSize, tk.Init = wire.MinPart, initial(t, model.Spec{Name: "w", DType: model.F32, Shape: []int{1 << 18}})
		}, "model: wire: part_size: a model of 1048576 bytes and 1 tensors wants a larger one than 4160: 8320 will do"},
		"large statistics, small parts": {func(c c, tk tk) {
			c.PartSize, tk.Statistics = wire.MinPart, true
			tk.Init = initial(t, model.Spec{Name: "w", DType: model.F32, Shape: []int{4}},
				model.Spec{Name: model.ZMeanName, DType: model.F64, Shape: []int{45_000}, Rule: model.Keep},
				model.Spec{Name: model.ZSDName, DType: model.F64, Shape: []int{45_000}, Rule: model.Keep})
		}, "statistics: wire: part_size: a model of 1080000 bytes"},
		"one slot":         {func(_ c, t tk) { t.Slots = 1 }, "slots:"},
		"nine slots":       {func(_ c, t tk) { t.Slots = 9 }, "slots:"},
		"negative stage":   {func(c c, _ tk) { c.StageMemory = -1 }, "stage_memory:"},
		"negative uploads": {func(c c, _ tk) { c.Uploads = -1 }, "uploads:"},
		"many uploads":     {func(c c, _ tk) { c.Uploads = 5000 }, "uploads:"},
		"integers":         {func(_ c, tk tk) { tk.Init = initial(t, model.Spec{Name: "w", DType: model.I64, Shape: []int{4}}) }, "model:"},
		"nothing to do": {func(_ c, tk tk) {
			tk.Init = initial(t, model.Spec{Name: "w", DType: model.F32, Shape: []int{4}, Rule: model.Keep})
		}, "model:"},
		"no z-score": {func(_ c, t tk) { t.Statistics = true }, "statistics:"},
		"half a z-score": {func(_ c, tk tk) {
			tk.Statistics = true
			tk.Init = initial(t, model.Spec{Name: "w", DType: model.F32, Shape: []int{4}}, model.Spec{Name: model.ZMeanName, DType: model.F64, Shape: []int{4}, Rule: model.Keep})
		}, "statistics:"},
		"uneven z-score": {func(_ c, tk tk) {
			tk.Statistics = true
			tk.Init = initial(t, model.Spec{Name: "w", DType: model.F32, Shape: []int{4}}, model.Spec{Name: model.ZMeanName, DType: model.F64, Shape: []int{4}, Rule: model.Keep},
				model.Spec{Name: model.ZSDName, DType: model.F64, Shape: []int{5}, Rule: model.Keep})
		}, "statistics:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			x.change(&cfg, &cfg.Tasks[0])
			err := cfg.Validate()
			switch {
			case x.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)):
				t.Errorf("error %v, want one about %q", err, x.want)
			}
			if x.want != "" && strings.Contains(err.Error(), `want one made by New`) {
				t.Errorf("one fault is told twice: %v", err)
			}
			if cfg.Tasks != nil && cfg.Tasks[0].Quorum == 0 && err != nil && strings.Contains(err.Error(), "quorum: ") {
				t.Errorf("a key is named that nobody has written: %v", err)
			}
			if x.want != "" && aggregator.Run(t.Context(), cfg) == nil {
				t.Error("it runs all the same")
			}
		})
	}
}

// All faults are told at once.
func TestValidateTellsAll(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Broker, cfg.DataDir, cfg.Tasks[0].Rounds = "", "", 0
	err := cfg.Validate()
	for _, want := range []string{"broker:", "data_dir:", "rounds:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: nothing about %s", err, want)
		}
	}
}
