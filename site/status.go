package site

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/fedmq/fedmq/internal/link"
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
	Broker      string             `json:"broker,omitempty"`   // the address in use, of a cluster
	Warning     string             `json:"warning,omitempty"`  // what is wrong with the metrics, or does not suit the model
	Metrics     map[string]float64 `json:"metrics,omitempty"`  // of the last model evaluated here
	Personal    *PersonalStatus    `json:"personal,omitempty"` // where the site trains what is released for itself
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
	TimestampMS int64    `json:"timestamp_ms"`   // of the Will: the birth's
	BirthMS     int64    `json:"birth_ms"`       // start of this process
	Instance    string   `json:"instance"`       // of this process, as its joins name it
	Connection  uint64   `json:"connection"`     // of this process, counted
	Will        bool     `json:"will,omitempty"` // it is the Last Will: the broker says it
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
