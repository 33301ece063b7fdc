package site

import (
	"encoding/json"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// Schemas of the JSON that people read.
const (
	StatusSchema = "fedmq.status.v1"
	StateSchema  = "fedmq.state.v1"
)

// Status is the JSON on M/_fl_v1/<task>/status: what a site does in a task. It
// is for people and displays; nothing acts on it.
type Status struct {
	Schema      string             `json:"schema"` // StatusSchema
	TimestampMS int64              `json:"timestamp_ms"`
	Phase       Phase              `json:"phase"`
	Round       uint64             `json:"round"`
	Attempt     uint32             `json:"attempt"`
	Progress    *float64           `json:"progress,omitempty"` // 0..1, of the trainer's work, the parts of the model received, or those of the update sent
	Samples     int                `json:"samples"`            // training rows
	Data        *Data              `json:"data,omitempty"`     // where the rows come from files
	Message     string             `json:"message,omitempty"`
	Error       string             `json:"error,omitempty"`
	Broker      string             `json:"broker,omitempty"`  // the address in use, of a cluster
	Warning     string             `json:"warning,omitempty"` // what is wrong with the metrics
	Metrics     map[string]float64 `json:"metrics,omitempty"` // of the last model evaluated here
}

// Data is what a trainer has read.
type Data struct {
	Rows     int    `json:"rows"`
	TestRows int    `json:"test_rows"`
	ReadMS   int64  `json:"read_ms"` // when
	SHA256   string `json:"sha256"`  // of the file; of several, of their hashes
}

// dataOf is what t has read, if it says so.
func dataOf(t trainer.Trainer) *Data {
	s := trainer.SourceOf(t)
	if s.Read.IsZero() {
		return nil
	}
	return &Data{Rows: s.Rows, TestRows: s.TestRows, ReadMS: s.Read.UnixMilli(), SHA256: s.SHA256}
}

// State is the JSON on M/_fl_v1/state, and, with online false, the Last Will:
// the presence of a node, after Sparkplug's STATE.
type State struct {
	Schema      string   `json:"schema"` // StateSchema
	Online      bool     `json:"online"`
	TimestampMS int64    `json:"timestamp_ms"` // of the Will: the birth's
	BirthMS     int64    `json:"birth_ms"`     // start of this process
	Roles       []string `json:"roles"`
	Agent       string   `json:"agent"`
	Security    string   `json:"security"`           // signed or unsigned: whether this site signs and checks
	Insecure    bool     `json:"insecure,omitempty"` // the broker's certificate is not checked
	Tasks       []string `json:"tasks"`
}

// maxText bounds free text in JSON, in bytes.
const maxText = 512

// clip makes a text printable and at most maxText bytes long.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) <= maxText {
		return s
	}
	s = s[:maxText-3]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "..."
}

// jsonMessage makes a retained message. Its values are finite by construction,
// so that encoding cannot fail.
func jsonMessage(topic string, qos byte, v any) link.Message {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return link.Message{Topic: topic, Payload: b, QoS: qos, Retained: true}
}

// state makes the message that the site is there, or that it leaves.
func (s *site) state(online bool) link.Message {
	at := s.now()
	return jsonMessage(s.stateTopic, 1, State{
		Schema: StateSchema, Online: online, TimestampMS: at, BirthMS: s.birth,
		Roles: []string{"site"}, Agent: s.cfg.Agent, Tasks: s.names,
		Security: s.cfg.security(), Insecure: s.cfg.TLS != nil && s.cfg.TLS.InsecureSkipVerify,
	})
}

// security says as records and aggregators do (RC-9) whether messages are signed.
func (c Config) security() string {
	if c.Signer == nil {
		return record.Unsigned
	}
	return record.Signed
}

// publishStatus publishes the status of a task: QoS 1 for a new phase, 0 for
// progress and heartbeats (S-16).
func (s *site) publishStatus(t *task, qos byte) {
	v := t.view
	st := Status{
		Schema: StatusSchema, TimestampMS: s.now(), Phase: v.Phase, Round: v.Round, Attempt: v.Attempt,
		Samples: t.samples, Data: t.data, Message: clip(v.Message), Error: clip(v.Error), Warning: clip(strings.Join(t.odd, "; ")), Metrics: t.metrics,
	}
	for _, s := range []string{t.denied, t.trouble, t.lost, t.unheard} {
		if st.Error == "" {
			st.Error = clip(s)
		}
	}
	if done, total := t.progress(); total > 0 {
		p := min(max(math.Round(1000*float64(done)/float64(total))/1000, 0), 1)
		st.Progress = &p
	}
	if len(link.Addresses(s.cfg.Broker)) > 1 {
		st.Broker = s.conn.Broker()
	}
	s.conn.Post(jsonMessage(t.member.Status(), qos, st))
	t.published = s.now()
	t.beat = t.published + s.heartbeat(t)
	t.behind, t.changed = false, false
}

// progress is how far what the phase names has come, of how much; 0 of 0 when
// that is not known.
func (t *task) progress() (done, total int64) {
	switch {
	case t.view.Phase == PhaseTraining, t.view.Phase == PhaseEvaluating:
		return t.done.Load(), t.total.Load()
	case t.view.Phase == PhaseSending && t.upload != nil:
		n, of := t.upload.sender.Progress()
		return int64(n), int64(of)
	case t.view.Phase == PhaseWaiting && t.pull.in != nil:
		n, of := t.pull.puller.Progress()
		return int64(n), int64(of)
	}
	return 0, 0
}

// Bounds of the heartbeat of an order, which an unsigned one could make
// anything.
const (
	leastBeat ms = 10_000
	mostBeat  ms = 3_600_000
	usualBeat ms = 30_000
)

// heartbeat draws the time to the next status without news, +-20 %.
func (s *site) heartbeat(t *task) ms {
	beat := t.view.Heartbeat
	if beat == 0 {
		beat = usualBeat
	}
	beat = min(max(beat, leastBeat), mostBeat)
	return beat - beat/5 + s.rand.Int64N(2*(beat/5)+1)
}
