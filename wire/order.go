package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// Order is the current order of a task: all that a site must know (W-26). It
// does not change within an attempt. Epoch, round, attempt, base and schema
// are in its header.
type Order struct {
	Work            string          `json:"work"`                    // one of the Work constants
	ValidFrom       uint32          `json:"valid_from"`              // earliest attempt whose updates still count
	DeadlineMS      uint64          `json:"deadline_ms"`             // from the attempt's publish, for display
	PaceMS          uint64          `json:"pace_ms"`                 // sites spread their answers over it
	HeartbeatMS     uint64          `json:"heartbeat_ms"`            // between two presences of a site
	GridB           int             `json:"grid_b"`                  // values are at most 2^b
	GridW           int             `json:"grid_w"`                  // total weight is at most 2^w
	Cap             uint64          `json:"cap,string"`              // weight of one site is at most this
	Weights         string          `json:"weights"`                 // samples, uniform or sqrt
	Seed            uint64          `json:"seed,string"`             // of the task's pseudo-random numbers
	Settings        json.RawMessage `json:"settings"`                // JSON object for the trainer, at most 16 KiB; nil = {}
	Instance        Nonce           `json:"instance"`                // of the aggregator process
	CohortSize      uint32          `json:"cohort_n"`                // members this attempt waits for
	CohortHash      model.Hash      `json:"cohort_hash"`             // SHA-256 of their sorted paths
	SampleSeed      Nonce           `json:"sample_seed"`             // zero: no sampling
	SampleThreshold uint64          `json:"sample_threshold,string"` // SampleAll: everybody
	PartSize        uint32          `json:"part_size"`               // MQTT payload bytes, MinPart..MaxPart

	// Members (W-45). None of them is used by this version but those that orderMembers says.
	Bulk        string             `json:"bulk,omitempty"`       // topic that stands for the namespace in topics of bulk
	Cohort      []string           `json:"cohort,omitempty"`     // paths of the members asked, where they are listed; ascending
	ContentKind string             `json:"content,omitempty"`    // what content ids are of, other than the hash of a blob
	Contract    model.Hash         `json:"contract,omitzero"`    // hash of the task's contract (W-51)
	Encoding    string             `json:"encoding,omitempty"`   // of updates, other than dense f32
	Keep        []string           `json:"keep,omitempty"`       // patterns of tensors that stay at the site; ascending
	Local       *Local             `json:"local,omitempty"`      // what the strategy needs of local training
	Roster      *Roster            `json:"roster,omitempty"`     // of keys
	SecAgg      *SecAgg            `json:"secagg,omitempty"`     // secure aggregation
	Share       []string           `json:"share,omitempty"`      // patterns of tensors that are shared; ascending
	Strategy    *OrderStrategy     `json:"strategy,omitempty"`   // how updates become a model; nil: federated averaging
	Late        uint64             `json:"late,omitempty"`       // training goes on when a next order comes, of at most so many rounds later
	Rolled      uint64             `json:"rolled,omitempty"`     // round of the last rollback; 0: there was none
	Thresholds  map[string]float64 `json:"thresholds,omitempty"` // that an update is judged by
}

const orderFields = 18

func (o Order) members() []member { return orderMembers(&o) }

func (o Order) check() error { return cmp.Or(checkWork(o.Work), o.checkFields()) }

// checkFields is check but for what a later version may have more of.
func (o Order) checkFields() error {
	return cmp.Or(
		checkMS("deadline_ms", o.DeadlineMS),
		checkMS("pace_ms", o.PaceMS),
		checkMS("heartbeat_ms", o.HeartbeatMS),
		checkGrid(o.GridB, o.GridW),
		checkWord("weights", o.Weights),
		checkSettings(o.settings()),
		checkPart(o.PartSize),
	)
}

func checkWork(work string) error {
	switch work {
	case WorkTrain, WorkEvaluate, WorkStatistics, WorkInit, WorkNone:
		return nil
	}
	return fmt.Errorf("work: want train, evaluate, statistics, init or none, got %s", short(work))
}

func checkGrid(b, w int) error {
	if b < -maxGrid || b > maxGrid || w < 0 || w > 62 {
		return fmt.Errorf("grid: want b in -1023..1023 and w in 0..62, got %d and %d", b, w)
	}
	return nil
}

func checkSettings(s []byte) error {
	if len(s) > maxSettings {
		return fmt.Errorf("settings: want at most %d bytes, got %d", maxSettings, len(s))
	}
	if s = bytes.TrimLeft(s, " \t\r\n"); len(s) == 0 || s[0] != '{' || !json.Valid(s) {
		return fmt.Errorf("settings: want a JSON object")
	}
	return nil
}

func checkPart(n uint32) error {
	if n < MinPart || n > MaxPart {
		return fmt.Errorf("part_size: want %d to %d, got %d", MinPart, MaxPart, n)
	}
	return nil
}

func (o Order) settings() []byte {
	if o.Settings == nil {
		return []byte("{}")
	}
	return o.Settings
}

func (o Order) appendTo(b []byte) []byte {
	b = appendArray(b, orderFields)
	b = appendStr(b, o.Work)
	b = appendUint(b, uint64(o.ValidFrom))
	b = appendUint(b, o.DeadlineMS)
	b = appendUint(b, o.PaceMS)
	b = appendUint(b, o.HeartbeatMS)
	b = appendInt(b, int64(o.GridB))
	b = appendInt(b, int64(o.GridW))
	b = appendUint(b, o.Cap)
	b = appendStr(b, o.Weights)
	b = appendUint(b, o.Seed)
	b = appendStr(b, string(o.settings()))
	b = appendBin(b, o.Instance[:])
	b = appendUint(b, uint64(o.CohortSize))
	b = appendBin(b, o.CohortHash[:])
	b = appendFixed(b, o.SampleSeed[:])
	b = appendUint(b, o.SampleThreshold)
	return appendMembers(appendUint(b, uint64(o.PartSize)), o.members())
}

// DecodeOrder reads the body of an order. The error is a [*Refusal]; with
// ReasonUnsupported the order is returned as far as this version knows it.
func DecodeOrder(body []byte) (Order, error) {
	r := open(body, "order", ScanLimits{})
	var o Order
	r.array("fields", orderFields)
	o.Work = r.word("work")
	o.ValidFrom = r.uint32("valid_from")
	o.DeadlineMS = r.uint("deadline_ms", maxMS)
	o.PaceMS = r.uint("pace_ms", maxMS)
	o.HeartbeatMS = r.uint("heartbeat_ms", maxMS)
	o.GridB = r.int("grid_b", maxGrid)
	o.GridW = r.int("grid_w", maxGrid)
	o.Cap = r.uint64("cap")
	o.Weights = r.word("weights")
	o.Seed = r.uint64("seed")
	o.Settings = r.raw("settings", maxSettings)
	r.fixed("instance", o.Instance[:], false)
	o.CohortSize = r.uint32("cohort_n")
	r.fixed("cohort_hash", o.CohortHash[:], false)
	r.fixed("sample_seed", o.SampleSeed[:], true)
	o.SampleThreshold = r.uint64("sample_threshold")
	o.PartSize = r.uint32("part_size")
	r.members(orderMembers(&o))
	if err := r.close(); err != nil {
		return Order{}, err
	}
	if err := o.checkFields(); err != nil {
		return Order{}, refuse(ReasonMalformed, StageDecode, "order: %v", err)
	}
	if checkWork(o.Work) != nil {
		r.lacks = append(r.lacks, "work "+o.Work)
	}
	return o, r.lacking()
}
