package exec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

// Version is the protocol's.
const Version = 1

// Types of messages.
const (
	typeHello      = "hello"
	typeTrain      = "train"
	typeEvaluate   = "evaluate"
	typeStatistics = "statistics"
	typeInit       = "init"
	typeCancel     = "cancel"
	typeProgress   = "progress"
	typeDone       = "done"
	typeError      = "error"
)

// maxSettings bounds the names of settings in a hello.
const maxSettings = 1024

// maxLine bounds a line from a program, in bytes.
const maxLine = 1 << 20

// ErrProtocol is wrapped by every error about a program that does not keep to
// the protocol.
var ErrProtocol = errors.New("the trainer does not keep to the protocol")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}

// request is what a program is asked. Fields without a meaning
// for a type are left out.
type request struct {
	Type     string          `json:"type"`
	Version  int             `json:"version,omitempty"`
	ID       uint64          `json:"id,omitempty"`
	Task     string          `json:"task,omitempty"`
	Member   string          `json:"member,omitempty"`
	Group    int             `json:"group,omitempty"`
	Round    uint64          `json:"round,omitempty"`
	Attempt  uint32          `json:"attempt,omitempty"`
	Seed     string          `json:"seed,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Model    string          `json:"model,omitempty"`
	Out      string          `json:"out,omitempty"`

	Needs      []string `json:"needs,omitempty"`
	Mu         float64  `json:"mu,omitempty"`
	Correction string   `json:"correction,omitempty"`
}

// line is the request as it is sent.
func (r request) line() []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		panic(err) // Settings are valid JSON: jobRequest has compacted them
	}
	return buf.Bytes()
}

// environ is the request as variables, for a program that is run once for each
// request.
func (r request) environ() []string {
	env := []string{"FEDMQ_WORK=" + r.Type, "FEDMQ_VERSION=" + strconv.Itoa(Version)}
	add := func(name, value string) {
		if value != "" {
			env = append(env, "FEDMQ_"+name+"="+value)
		}
	}
	add("TASK", r.Task)
	add("MEMBER", r.Member)
	if r.Type != typeHello && r.Type != typeInit {
		add("ROUND", strconv.FormatUint(r.Round, 10))
		add("ATTEMPT", strconv.FormatUint(uint64(r.Attempt), 10))
	}
	add("SEED", r.Seed)
	add("SETTINGS", string(r.Settings))
	add("MODEL", r.Model)
	add("OUT", r.Out)
	add("NEEDS", strings.Join(r.Needs, " "))
	if r.Mu != 0 {
		add("MU", strconv.FormatFloat(r.Mu, 'g', -1, 64))
	}
	add("CORRECTION", r.Correction)
	return env
}

// reply is what a program says.
type reply struct {
	kind string
	id   uint64

	version, samples           int64 // hello
	evaluate, statistics, init bool
	name                       string
	settings                   []string // nil: any
	capabilities               []string
	contract                   *pipeline.Contract // nil: not known

	done, total int64              // progress
	measured    trainer.Evaluation // done
	scalars     map[string]float64 // done
	message     string             // error
}

// The replies as JSON, by type. Members that are not listed are refused: a
// misspelt one must not go unnoticed.
type (
	helloLine struct {
		Type       string `json:"type"`
		Version    int64  `json:"version"`
		Name       string `json:"name,omitempty"`
		Samples    *int64 `json:"samples"`
		Evaluate   bool   `json:"evaluate,omitempty"`
		Statistics bool   `json:"statistics,omitempty"`
		Init       bool   `json:"init,omitempty"`

		Capabilities []string `json:"capabilities,omitempty"`

		Settings []string        `json:"settings,omitempty"`
		Contract json.RawMessage `json:"contract,omitempty"`
	}
	progressLine struct {
		Type  string `json:"type"`
		ID    uint64 `json:"id,omitempty"`
		Done  int64  `json:"done"`
		Total int64  `json:"total"`
	}
	doneLine struct {
		Type    string            `json:"type"`
		ID      uint64            `json:"id,omitempty"`
		Metrics map[string]number `json:"metrics,omitempty"`

		Confusion confusionLine `json:"confusion,omitempty"`
		Scores    scoresLine    `json:"scores,omitempty"`

		Scalars map[string]number `json:"scalars,omitempty"`
	}
	errorLine struct {
		Type    string `json:"type"`
		ID      uint64 `json:"id,omitempty"`
		Message string `json:"message"`
	}
)

// parseReply reads a message of a program. Errors wrap ErrProtocol.
func parseReply(line []byte) (reply, error) {
	line = finite(line)
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return reply{}, broken("standard output: %.60q is no JSON object (%w)", line, err)
	}
	r, err := parseTyped(head.Type, line)
	if err != nil {
		return reply{}, broken("standard output: %s: %w", head.Type, err)
	}
	r.kind = head.Type
	return r, nil
}

func parseTyped(kind string, line []byte) (r reply, err error) {
	switch kind {
	case typeHello:
		return parseHello(line)
	case typeProgress:
		var l progressLine
		if err := strict(line, &l); err != nil {
			return r, err
		}
		if l.Done < 0 || l.Total < 1 {
			return r, fmt.Errorf("done %d of total %d, want done >= 0 and total >= 1", l.Done, l.Total)
		}
		return reply{id: l.ID, done: l.Done, total: l.Total}, nil
	case typeDone:
		var l doneLine
		if err := strict(line, &l); err != nil {
			return r, err
		}
		m, err := numbers(l.Metrics)
		if err != nil {
			return r, err
		}
		scalars, err := numbers(l.Scalars)
		if err != nil {
			return r, fmt.Errorf("scalars: %w", err)
		}
		c, err := counts(l.Confusion, l.Scores)
		return reply{id: l.ID, measured: trainer.Evaluation{Metrics: m, Counts: c}, scalars: scalars}, err
	case typeError:
		var l errorLine
		err := strict(line, &l)
		return reply{id: l.ID, message: l.Message}, err
	}
	return r, errors.New("unknown type, want hello, progress, done or error")
}

func parseHello(line []byte) (reply, error) {
	var l helloLine
	if err := strict(line, &l); err != nil {
		return reply{}, err
	}
	switch {
	case l.Version != Version:
		return reply{}, fmt.Errorf("version %d, want %d", l.Version, Version)
	case l.Samples == nil:
		return reply{}, errors.New("samples are missing, want the number of training rows")
	case *l.Samples < 0 || *l.Samples > math.MaxInt32:
		return reply{}, fmt.Errorf("samples %d, want 0 to %d", *l.Samples, math.MaxInt32)
	case len(l.Settings) > maxSettings:
		return reply{}, fmt.Errorf("settings: %d names, at most %d", len(l.Settings), maxSettings)
	}
	if unknown := trainer.Lacking(trainer.Needs(), l.Capabilities); len(unknown) > 0 {
		return reply{}, fmt.Errorf("capabilities: %.64q, want some of %s", unknown[0], strings.Join(trainer.Needs(), ", "))
	}
	var contract *pipeline.Contract
	if l.Contract != nil {
		var err error
		if contract, err = pipeline.Read(l.Contract); err != nil {
			return reply{}, err
		}
	}
	return reply{
		contract: contract, version: l.Version, samples: *l.Samples, name: l.Name,
		evaluate: l.Evaluate, statistics: l.Statistics, init: l.Init, settings: l.Settings, capabilities: l.Capabilities,
	}, nil
}

// numbers returns metrics; null is NaN, which the site names and leaves out.
func numbers(in map[string]number) (trainer.Metrics, error) {
	if len(in) > trainer.MaxMetrics {
		return nil, fmt.Errorf("%d metrics, at most %d", len(in), trainer.MaxMetrics)
	}
	out := trainer.Metrics{}
	for name, v := range in {
		out[name] = float64(v)
	}
	return out, nil
}

// strict decodes exactly one object without unknown members.
func strict(line []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one object on a line")
	}
	return nil
}
