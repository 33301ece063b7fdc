//go:build unix

package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

func job(settings string) trainer.Job {
	return trainer.Job{Task: "t", Member: "a/b", Round: 3, Attempt: 1, Settings: json.RawMessage(settings), Seed: [32]byte{9}}
}

// wantTrained checks that every weight of w is v, and that the kept tensor is
// as it was.
func wantTrained(t *testing.T, m *model.Model, err error, v float32) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.Float32s("w")
	if err != nil || w[0] != v || w[1] != v || m.Bytes("seen")[0] != 7 {
		t.Fatalf("w = %v, seen = %v, %v; want %v and 7", w, m.Bytes("seen"), err, v)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Fatalf("got %v, want it to say %q", err, part)
		}
	}
}

func TestWorker(t *testing.T) {
	t.Parallel()
	tr := launch(t, config(t, self(t, "good")...))
	if tr.Samples() != 12 {
		t.Errorf("%d samples", tr.Samples())
	}
	pid := tr.running.cmd.Process.Pid
	j := job(`{"scale": 1}`)
	var progress []int
	j.Progress = func(done, total int) { progress = append(progress, done, total) }
	m, err := tr.Train(t.Context(), j, global())
	wantTrained(t, m, err, 2)
	if len(progress) != 2 || progress[0] != 1 || progress[1] != 2 {
		t.Errorf("progress %v", progress)
	}
	measured, err := tr.Evaluate(t.Context(), j, m)
	metrics := measured.Metrics
	if err != nil || metrics["n"] != 2 || metrics["loss"] != 2 || metrics["round"] != 3 || metrics["seed"] != 9 {
		t.Errorf("metrics %v, %v", metrics, err)
	}
	if c := measured.Counts; c == nil || c.Rows() != 2 || c.Correct() != 1 || c.Scores[256+trainer.Bin(0.2)] != 1 {
		t.Errorf("counts %+v", c)
	}
	st, err := tr.Site().(trainer.Statistician).Statistics(t.Context(), j)
	if err != nil || len(st.Schema) != 3 {
		t.Errorf("statistics %v, %v", st, err)
	}
	first, err := tr.Init(t.Context(), [32]byte{5})
	if err != nil || !bytes.Equal(first.Bytes("w")[:4], []byte{0, 0, 0xa0, 0x40}) || first.Schema[0].Rule != model.Keep {
		t.Errorf("first model %v, %v", first, err)
	}
	_, err = tr.Train(t.Context(), job(`{"fail": "the disk is full"}`), global())
	wantError(t, err, "the disk is full", tr.cfg.name())
	if tr.running == nil || tr.running.cmd.Process.Pid != pid {
		t.Error("the program was started again")
	}
	if _, err := os.Stat(tr.files.out()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the answer's file is left: %v", err)
	}
}

// A program whose prints are not its messages: before hello, between requests,
// without line feeds.
func TestPrints(t *testing.T) {
	t.Parallel()
	const hello = `Loading ... {"type":"hello","version":1,"samples":3}`
	tr := launch(t, config(t, self(t, "raw", hello, "Epoch 1\nloss 0.3 "+`{"type":"error","id":1,"message":"out of rows"}`)...))
	_, err := tr.Train(t.Context(), job(""), global())
	wantError(t, err, "out of rows")
}

// A program without statistics is no Statistician; without evaluate there is
// nothing to tell, and nothing is asked.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	tr := launch(t, config(t, self(t, "print", `{"type":"hello","version":1,"samples":0}`)...))
	if _, ok := tr.Site().(trainer.Statistician); ok {
		t.Error("it is a Statistician")
	}
	if m, err := tr.Evaluate(t.Context(), job(""), global()); m.Metrics != nil || err != nil {
		t.Errorf("evaluate: %v, %v", m, err)
	}
	_, err := tr.Init(t.Context(), [32]byte{})
	wantError(t, err, "cannot make a first model")
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	const hello = `{"type":"hello","version":1,"samples":3}`
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"not there":  {[]string{"./no-such-program"}, "no-such-program"},
		"dies":       {self(t, "no such behaviour"), "exit status 1): unknown behaviour"},
		"only text":  {[]string{"sh", "-c", "echo no GPU here"}, "ended (exit status 0): no GPU here"},
		"not hello":  {self(t, "print", `{"type":"done"}`, hello), "done before hello"},
		"deaf text":  {[]string{"sh", "-c", "exec <&-; echo Epoch 1"}, "ended (exit status 0): Epoch 1"},
		"deaf error": {[]string{"sh", "-c", `exec <&-; echo '{"type":"error","message":"no GPU"}'`}, "no GPU"},
		"own error":  {self(t, "print", `{"type":"error","message":"no data in ./rows"}`), "no data in ./rows"},
		"version 2":  {self(t, "print", `{"type":"hello","version":2,"samples":3}`), "version 2, want 1"},
		"no samples": {self(t, "print", `{"type":"hello","version":1}`), "samples are missing"},
		"contract":   {self(t, "print", `{"type":"hello","version":1,"samples":3,"contract":{"inputs":[]}}`), "bad contract: inputs: want 1"},
		"misspelt":   {self(t, "print", `{"type":"hello","version":1,"samples":3,"evalute":true}`), "evalute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, err := Start(t.Context(), config(t, c.args...))
			if tr != nil {
				t.Fatal("it started")
			}
			wantError(t, err, c.want)
		})
	}
}

// Killing the program in the middle of a round costs that round and no other.
func TestCrash(t *testing.T) {
	t.Parallel()
	tr := launch(t, config(t, self(t, "crash once", filepath.Join(t.TempDir(), "mark"))...))
	_, err := tr.Train(t.Context(), job(""), global())
	wantError(t, err, "exit status 3", "ValueError: no luck today")
	m, err := tr.Train(t.Context(), job(""), global())
	wantTrained(t, m, err, 1)
}

// A program that ends between two requests costs nothing.
func TestIdleDeath(t *testing.T) {
	t.Parallel()
	starts := filepath.Join(t.TempDir(), "starts")
	tr := launch(t, config(t, self(t, "idle death", starts)...))
	for range 3 {
		m, err := tr.Train(t.Context(), job(""), global())
		wantTrained(t, m, err, 1)
		<-tr.running.ended
	}
	if b, err := os.ReadFile(starts); err != nil || string(b) != "xxx" {
		t.Errorf("started %q, %v", b, err)
	}
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	cfg := config(t, self(t, "raw", `{"type":"hello","version":1,"samples":3}`)...)
	cfg.times.first, cfg.times.most = time.Hour, 3*time.Hour
	tr := launch(t, cfg)
	for _, hours := range []float64{1, 2, 3, 3} {
		_, err := tr.Train(t.Context(), job(""), global())
		wantError(t, err, "ended (exit status 0)")
		if left := time.Until(tr.resume).Hours(); left > hours || left < hours-0.1 {
			t.Errorf("%.2f h to the next start, want %v", left, hours)
		}
		// While it waits, a round that ends ends the wait.
		ctx, stop := context.WithCancelCause(t.Context())
		stop(errors.New("round over"))
		_, err = tr.Train(ctx, job(""), global())
		wantError(t, err, "round over")
		tr.resume = time.Time{}
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	const hello = `{"type":"hello","version":1,"samples":3,"evaluate":true}`
	for name, c := range map[string]struct{ answer, want string }{
		"cut":            {`{"type":"done"`, "is no JSON object"},
		"two":            {`{"type":"done","id":1}{}`, "is no JSON object"},
		"unknown type":   {`{"type":"finished","id":1}`, "unknown type, want hello, progress, done or error"},
		"hello again":    {hello, "hello for a request"},
		"future":         {`{"type":"done","id":2}`, "a request 2 that was not made"},
		"no id":          {`{"type":"done"}`, "done without an id"},
		"progress":       {`{"type":"progress","id":1,"done":1,"total":0}`, "total 0"},
		"text as metric": {`{"type":"done","id":1,"metrics":{"loss":"low"}}`, "metrics"},
		"no file":        {`{"type":"done","id":1}`, "no file at the path given as out"},
		"a link":         {"link", "no regular file"},
		"tensor missing": {"model x:f32", `lacks the tensor "w"`},
		"other type":     {"model w:f16", `tensor "w" of the trained model is f16[2], want f32[2]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := launch(t, config(t, self(t, "raw", hello, c.answer)...))
			_, err := tr.Train(t.Context(), job(""), global())
			wantError(t, err, c.want)
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("%v does not wrap ErrProtocol", err)
			}
		})
	}
}

// A kept tensor may be left out of the answer; one more than there were is
// refused.
func TestFit(t *testing.T) {
	t.Parallel()
	const hello = `{"type":"hello","version":1,"samples":3}`
	tr := launch(t, config(t, self(t, "raw", hello, "model w:f32")...))
	m, err := tr.Train(t.Context(), job(""), global())
	wantTrained(t, m, err, 0)
	tr = launch(t, config(t, self(t, "raw", hello, "model w:f32 b:f32")...))
	_, err = tr.Train(t.Context(), job(""), global())
	wantError(t, err, `has the tensor "b"`)
	tr = launch(t, config(t, self(t, "raw", hello, "model w:f64 b:f64")...))
	_, err = tr.Train(t.Context(), job(""), global())
	wantError(t, err, "bad safetensors", "at most 16")
}

// A request that is cancelled ends, and the program lives on.
func TestCancel(t *testing.T) {
	t.Parallel()
	tr := launch(t, config(t, self(t, "good")...))
	pid := tr.running.cmd.Process.Pid
	ctx, stop := context.WithCancelCause(t.Context())
	j := job(`{"wait": true}`)
	j.Progress = func(int, int) { stop(errors.New("round over")) }
	_, err := tr.Train(ctx, j, global())
	wantError(t, err, "round over")
	m, err := tr.Train(t.Context(), job(""), global())
	wantTrained(t, m, err, 1)
	if tr.running.cmd.Process.Pid != pid {
		t.Error("the program was started again")
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	cfg := config(t, self(t, "good")...)
	cfg.Timeout = 50 * time.Millisecond
	tr := launch(t, cfg)
	_, err := tr.Train(t.Context(), job(`{"wait": true}`), global())
	wantError(t, err, "no answer within the timeout of 50ms")
}

// A program that heeds nothing is killed, and what it has started with it.
func TestDeaf(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	cfg := config(t, self(t, "deaf", pidFile)...)
	cfg.times.cancel, cfg.times.ask, cfg.times.term, cfg.times.last = 1, 1, 1, 1
	tr := launch(t, cfg)
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("round over"))
	_, err = tr.Train(ctx, job(""), global())
	wantError(t, err, "round over")
	if tr.running != nil {
		t.Error("the program is left")
	}
	wantGone(t, child)
}

// wantGone waits for a process that has been killed to be reaped by init, or
// to be nothing but a zombie of it.
func wantGone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	give := time.After(10 * time.Second)
	for {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-give:
			t.Fatalf("process %d lives", pid)
		}
	}
}

// Close ends a deaf program too.
func TestCloseDeaf(t *testing.T) {
	t.Parallel()
	cfg := config(t, self(t, "deaf", filepath.Join(t.TempDir(), "pid"))...)
	cfg.times.ask, cfg.times.last = 1, 1
	tr, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := tr.running
	if err := tr.Close(); err != nil || !p.gone() {
		t.Errorf("close: %v", err)
	}
}

// A request under way ends with the trainer: SIGTERM at once, which this program
// obeys after its cancel alone would not have ended it.
func TestStopBusy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command []string
		mode    Mode
	}{
		"worker":    {[]string{"sh", "-c", `read hello; echo '{"type":"hello","version":1,"samples":3}'; read train; echo '{"type":"progress","id":1,"done":1,"total":2}'; exec sleep 600`}, ModeWorker},
		"per_round": {self(t, "once", "train", "wait"), ModePerRound},
		"deaf":      {[]string{"sh", "-c", `trap '' TERM; read hello; echo '{"type":"hello","version":1,"samples":3}'; read train; echo '{"type":"progress","id":1,"done":1,"total":2}'; sleep 600; sleep 600`}, ModeWorker},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, c.command...)
			cfg.Mode = c.mode
			if name == "deaf" {
				cfg.times.last = 1
			}
			ctx, end := context.WithCancel(t.Context())
			tr, err := Start(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			j := job("")
			j.Progress = func(int, int) { end() }
			began := time.Now()
			_, err = tr.Train(context.Background(), j, global())
			wantError(t, err, "the site ends")
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > cfg.times.cancel {
				t.Errorf("ended after %v", took)
			}
			_, err = tr.Train(context.Background(), job(""), global())
			wantError(t, err, "the site ends")
		})
	}
}

func TestHelloTimeout(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{ModeWorker, ModePerRound} {
		cfg := config(t, "sh", "-c", "exec sleep 600")
		cfg.Start, cfg.Mode = 20*time.Millisecond, mode
		_, err := Start(t.Context(), cfg)
		wantError(t, err, "no hello within 20ms", "trainer.exec.start")
	}
}

// A program that says how far it is while it loads is waited for.
func TestLoading(t *testing.T) {
	t.Parallel()
	const script = `i=0; while [ $i -lt 15 ]; do sleep 0.1; i=$((i+1)); echo '{"type":"progress","done":'$i',"total":15}'; done
		echo '{"type":"hello","version":1,"samples":3}'`
	for _, mode := range []Mode{ModeWorker, ModePerRound} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			cfg := config(t, "sh", "-c", script)
			cfg.Start, cfg.Mode = time.Second, mode
			if tr := launch(t, cfg); tr.Samples() != 3 {
				t.Errorf("%d samples", tr.Samples())
			}
		})
	}
}

func TestPerRound(t *testing.T) {
	t.Parallel()
	cfg := config(t, self(t, "once")...)
	cfg.Mode = ModePerRound
	tr := launch(t, cfg)
	if tr.Samples() != 5 {
		t.Errorf("%d samples", tr.Samples())
	}
	j, reports := job(`{"scale": 2}`), 0
	j.Progress = func(int, int) { reports++ }
	m, err := tr.Train(t.Context(), j, global())
	wantTrained(t, m, err, 3)
	measured, err := tr.Evaluate(t.Context(), j, m)
	metrics := measured.Metrics
	if err != nil || metrics["n"] != 5 || metrics["round"] != 3 || reports != 1 {
		t.Errorf("metrics %v, %v; %d reports", metrics, err, reports)
	}
	if m, err = tr.Train(t.Context(), job(""), m); err == nil {
		wantTrained(t, m, err, 4)
	}
}

func TestPerRoundFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, want string }{
		"silent":     {"", "ended without an answer"},
		"exit code":  {"fail", "ended (exit status 4): out of luck"},
		"own error":  {`{"type":"error","message":"no rows"}`, "no rows"},
		"only text":  {"loss 3", "ended without an answer"},
		"hello":      {`{"type":"hello","version":1,"samples":3}`, "hello as the answer to train"},
		"two":        {"{\"type\":\"done\"}\n{\"type\":\"done\"}", "done after the answer"},
		"no file":    {`{"type":"done"}`, "no file at the path given as out"},
		"round over": {"wait", "round over"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, self(t, "once", "train", c.answer)...)
			cfg.Mode = ModePerRound
			tr := launch(t, cfg)
			ctx, stop := context.WithCancelCause(t.Context())
			j := job("")
			j.Progress = func(int, int) { stop(errors.New("round over")) }
			_, err := tr.Train(ctx, j, global())
			wantError(t, err, c.want)
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	if !limitsMemory {
		t.Skip("this operating system cannot limit memory")
	}
	cfg := config(t, "sh", "-c", `read hello; echo "$(ulimit -d) $(nice)" > limits; echo '{"type":"hello","version":1,"samples":1}'; read end`)
	cfg.Dir, cfg.Nice, cfg.Memory = t.TempDir(), 19, 256<<20
	launch(t, cfg)
	b, err := os.ReadFile(filepath.Join(cfg.Dir, "limits"))
	if err != nil || string(b) != "262144 19\n" {
		t.Errorf("limits %q, %v", b, err)
	}
}

// The model's file is written once for evaluation and training, anew for
// another model, and never in the place of one that may still be mapped.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	for _, left := range []string{"model-1.part", outFile, modelFile} {
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, left), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := openFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := global()
	var infos []os.FileInfo
	for _, w := range []float32{1, 1, 2} {
		if err := errors.Join(m.SetFloat32s("w", []float32{w, w}), f.put(m)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(f.model())
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	if !os.SameFile(infos[0], infos[1]) || os.SameFile(infos[1], infos[2]) {
		t.Error("want one file for the same model, another for another")
	}
	if err := os.Remove(f.model()); err != nil {
		t.Fatal(err)
	}
	if err := f.put(m); err != nil {
		t.Fatal(err)
	}
	back, err := model.ReadSafetensorsFile(f.model(), 1<<20)
	if err != nil || !bytes.Equal(back.Blob, m.Blob) || back.Schema[0].Rule != model.Keep {
		t.Errorf("read back %v, %v", back, err)
	}
	if left, err := filepath.Glob(filepath.Join(f.dir, "*.*")); err != nil || len(left) != 1 {
		t.Errorf("files left: %v, %v", left, err)
	}
	if err := errors.Join(f.clear(true), f.release()); err != nil {
		t.Error(err)
	}
}

// What a program says that its model means is told to the site, in the canonical form.
func TestContract(t *testing.T) {
	t.Parallel()
	const hello = `{"type":"hello","version":1,"samples":3,"contract":{"target":{"classes":["ok","worn"],"name":"y"}, "net":{"output":"softmax"},"inputs":[{"unit":"bar","name":"p"}]}}`
	tr := launch(t, config(t, self(t, "print", hello)...))
	want := `{"inputs":[{"name":"p","unit":"bar"}],"target":{"name":"y","classes":["ok","worn"]},"net":{"output":"softmax"}}`
	if c := trainer.ContractOf(tr.Site()); c == nil || string(c.JSON()) != want {
		t.Errorf("got %v, want %s", c, want)
	}
	if c := launch(t, config(t, self(t, "print", `{"type":"hello","version":1,"samples":3}`)...)).Contract(); c != nil {
		t.Errorf("a program that says nothing has the contract %s", c.JSON())
	}
}
