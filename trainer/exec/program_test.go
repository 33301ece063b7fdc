package exec

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// TestMain is also the program of most tests: this executable with the
// arguments "program" and a behaviour.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "program" {
		if err := program(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// self is the command for a behaviour.
func self(t testing.TB, args ...string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{exe, "program"}, args...)
}

// adder is a trainer that adds 1 to every weight of "w".
type adder struct{ samples int }

func (a adder) Samples() int { return a.samples }

func (a adder) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	var set struct {
		Wait  bool    `json:"wait"`
		Fail  string  `json:"fail"`
		Scale float32 `json:"scale"`
	}
	if err := job.Decode(&set); err != nil {
		return nil, err
	}
	if set.Fail != "" {
		return nil, errors.New(set.Fail)
	}
	job.Report(1, 2)
	if set.Wait {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	w, err := global.Float32s("w")
	if err != nil {
		return nil, err
	}
	for i := range w {
		w[i] += 1 + set.Scale
	}
	local := global.Clone()
	return local, local.SetFloat32s("w", w)
}

func (a adder) Evaluate(_ context.Context, job trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	w, err := global.Float32s("w")
	if err != nil {
		return trainer.Evaluation{}, err
	}
	c := trainer.NewCounts(2, true)
	c.Add(0, 1, []float64{0.2, 0.8})
	c.Add(1, 1, []float64{0.1, 0.9})
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: 2, trainer.SumLoss: float64(w[0]), "round": float64(job.Round), "seed": float64(job.Seed[0])}, Counts: c}, nil
}

func (a adder) Statistics(context.Context, trainer.Job) (*model.Model, error) {
	spec := func(name string) model.Spec { return model.Spec{Name: name, DType: model.F64, Shape: []int{2}} }
	s, err := model.NewSchema(spec("n"), spec("mean"), spec("m2"))
	return model.New(s), err
}

func (a adder) Init(_ context.Context, seed [32]byte) (*model.Model, error) {
	m := global()
	return m, m.SetFloat32s("w", []float32{float32(seed[0]), 0})
}

// steered is a trainer that takes one step along mu and the correction.
type steered struct{ lr float64 }

func (*steered) Samples() int { return 12 }
func (*steered) Capabilities() []string {
	return []string{trainer.NeedMu, trainer.NeedCorrection, trainer.NeedSteps}
}

func (s *steered) Scalars() map[string]float64 {
	return map[string]float64{trainer.ScalarSteps: 1, trainer.ScalarLR: s.lr, trainer.ScalarMomentum: 0}
}

func (s *steered) Train(_ context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	set := struct {
		LR float64 `json:"lr"`
	}{}
	if err := job.Decode(&set); err != nil {
		return nil, err
	}
	s.lr = set.LR
	local := global.Clone()
	w, err := local.Float32s("w")
	if err != nil {
		return nil, err
	}
	c, err := job.Correction.Float32s("w")
	if err != nil {
		return nil, err
	}
	for i := range w {
		w[i] -= float32(s.lr) * (float32(job.Mu) + c[i])
	}
	return local, local.SetFloat32s("w", w)
}

// global is the model of the tests: w, and a counter that is kept.
func global() *model.Model {
	s, err := model.NewSchema(
		model.Spec{Name: "w", DType: model.F32, Shape: []int{2}},
		model.Spec{Name: "seen", DType: model.I64, Rule: model.Keep})
	if err != nil {
		panic(err)
	}
	m := model.New(s)
	m.Bytes("seen")[0] = 7
	return m
}

// program is what the started program does.
func program(behaviour string, args []string) error {
	ctx := context.Background()
	serve := func() error { return Serve(ctx, os.Stdin, os.Stdout, adder{samples: 12}) }
	hello := func() { fmt.Println(`{"type":"hello","version":1,"samples":12,"evaluate":true}`) }
	switch behaviour {
	case "good":
		return serve()
	case "steered":
		return Serve(ctx, os.Stdin, os.Stdout, &steered{})
	case "print": // says the lines given, then waits for the end of input
		for _, line := range args {
			fmt.Println(line)
		}
		return drain()
	case "raw": // answers each request with the next line given
		return raw(args)
	case "crash once": // dies in its first training; args: a file that marks it
		if _, err := os.Stat(args[0]); err == nil {
			return serve()
		}
		hello()
		if err := upTo("train"); err != nil {
			return err
		}
		if err := os.WriteFile(args[0], nil, 0o600); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "Traceback (most recent call last):\nValueError: no luck today")
		os.Exit(3)
	case "idle death": // dies after a training; args: a file that counts starts
		f, err := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.WriteString("x"); err != nil {
			return err
		}
		in := bufio.NewReader(os.Stdin)
		return Serve(ctx, &two{in: in}, os.Stdout, adder{samples: 12})
	case "deaf": // neither cancel, nor the end of input, nor SIGTERM end it; args: a file for its child's pid
		signal.Ignore(syscall.SIGTERM)
		child := osexec.Command("sleep", "600")
		if err := child.Start(); err != nil {
			return err
		}
		if err := os.WriteFile(args[0], []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
			return err
		}
		hello()
		time.Sleep(time.Hour) // select {} would be a deadlock to the runtime
	case "once":
		return once(args)
	}
	return fmt.Errorf("unknown behaviour %q", behaviour)
}

// two ends input after two messages: hello and one request.
type two struct {
	in   *bufio.Reader
	line []byte
	n    int
}

func (t *two) Read(p []byte) (int, error) {
	if len(t.line) == 0 {
		if t.n++; t.n > 2 {
			return 0, errors.New("enough")
		}
		var err error
		if t.line, err = t.in.ReadBytes('\n'); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.line)
	t.line = t.line[n:]
	return n, nil
}

func drain() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// upTo reads requests to the first of a type.
func upTo(kind string) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.Type == kind {
			return err
		}
	}
	return errors.New("input has ended")
}

func raw(answers []string) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && len(answers) > 0 {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		if answers[0] == "link" {
			if err := os.Symlink(os.Args[0], r.Out); err != nil {
				return err
			}
			answers[0] = `{"type":"done","id":1}`
		}
		if tensors, ok := strings.CutPrefix(answers[0], "model "); ok {
			if err := writeTensors(r.Out, tensors); err != nil {
				return err
			}
			answers[0] = `{"type":"done","id":1}`
		}
		fmt.Println(answers[0])
		answers = answers[1:]
	}
	return lines.Err()
}

// writeTensors makes a model of scalars: "w:f32 x:f64".
func writeTensors(path, tensors string) error {
	var specs []model.Spec
	for f := range strings.FieldsSeq(tensors) {
		name, typ, _ := strings.Cut(f, ":")
		d, err := model.ParseDType(typ)
		if err != nil {
			return err
		}
		specs = append(specs, model.Spec{Name: name, DType: d, Shape: []int{2}})
	}
	s, err := model.NewSchema(specs...)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := model.New(s).WriteSafetensors(&buf, nil); err != nil {
		return err
	}
	return os.WriteFile(path, buf.Bytes(), 0o600)
}

// once is a program for per_round: its environment is the request.
func once(args []string) error {
	work := os.Getenv("FEDMQ_WORK")
	if len(args) == 2 && args[0] == work { // another answer than the usual one
		switch args[1] {
		case "wait":
			fmt.Println(`{"type":"progress","done":1,"total":1}`)
			time.Sleep(time.Hour) // select {} would be a deadlock to the runtime
		case "fail":
			fmt.Fprintln(os.Stderr, "out of luck")
			os.Exit(4)
		}
		fmt.Println(args[1])
		return nil
	}
	switch work {
	case "hello":
		fmt.Println(`{"type":"hello","version":1,"samples":5,"evaluate":true}`)
		return nil
	case "evaluate":
		fmt.Printf(`{"type":"done","metrics":{"n":5,"round":%s}}`+"\n", os.Getenv("FEDMQ_ROUND"))
		return nil
	}
	m, err := model.ReadSafetensorsFile(os.Getenv("FEDMQ_MODEL"), 1<<20)
	if err != nil {
		return err
	}
	job := trainer.Job{Settings: json.RawMessage(os.Getenv("FEDMQ_SETTINGS"))}
	local, err := adder{}.Train(context.Background(), job, m)
	if err != nil {
		return err
	}
	f, err := os.Create(os.Getenv("FEDMQ_OUT"))
	if err != nil {
		return err
	}
	if err := errors.Join(local.WriteSafetensors(f, nil), f.Close()); err != nil {
		return err
	}
	fmt.Println(`{"type":"progress","done":1,"total":1}`)
	fmt.Println(`{"type":"done"}`)
	return nil
}

// config is a configuration for tests: quick times, files of its own.
func config(t testing.TB, command ...string) Config {
	t.Helper()
	return Config{
		Command: command, Files: filepath.Join(t.TempDir(), "files"), Task: "t", Member: "a/b",
		times: times{
			cancel: usual.cancel, bye: usual.bye, term: usual.term, ask: usual.ask, last: usual.last,
			first: 1, most: 1,
		},
	}
}

func launch(t testing.TB, cfg Config) *Trainer {
	t.Helper()
	tr, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}
