package wire

import (
	"encoding/json"

	"github.com/fedmq/fedmq/model"
)

// Join says that a site takes part (W-28). Its header's CreatedMS is a counter
// that only grows.
type Join struct {
	Samples     uint64     `json:"samples"`      // training rows the site has
	Schema      model.Hash `json:"schema"`       // of the model the site can train; zero = any
	Instance    Nonce      `json:"instance"`     // of the site process
	SeenEpoch   uint64     `json:"seen_epoch"`   // highest order the site has verified
	SeenRound   uint64     `json:"seen_round"`   //
	SeenAttempt uint32     `json:"seen_attempt"` //
	Agent       string     `json:"agent"`        // name and version of the program, at most 64 bytes
	Disk        Nonce      `json:"disk"`         // of the data directory: who starts again on it is known by it
	Host        string     `json:"host"`         // the machine's name, for people, at most 64 bytes

	// Members (W-46); of them this version uses the contract, the capabilities and the encodings.
	Contract     json.RawMessage `json:"contract,omitempty"`     // of the site's trainer, canonical JSON (W-51); nil: not known
	Capabilities []string        `json:"capabilities,omitempty"` // words: what the site's trainer can beyond steps of its own; ascending
	Encodings    []string        `json:"encodings,omitempty"`    // of updates that it can make, other than dense f32; ascending
	Policy       model.Hash      `json:"policy,omitzero"`        // hash of the site's policy
}

const joinFields = 10

func joinMembers(j *Join) []member {
	return []member{
		{"?contract", true, contractOf{&j.Contract}},
		{"capabilities", true, textsOf{&j.Capabilities, maxMembers, maxWord}},
		{"encodings", true, textsOf{&j.Encodings, maxMembers, maxEncoding}},
		{"policy", false, hashOf{&j.Policy}},
	}
}

func (j Join) members() []member { return joinMembers(&j) }

func (j Join) check() error { return nil }

func (j Join) appendTo(b []byte) []byte {
	b = appendArray(b, joinFields)
	b = appendUint(b, j.Samples)
	b = appendFixed(b, j.Schema[:])
	b = appendBin(b, j.Instance[:])
	b = appendUint(b, j.SeenEpoch)
	b = appendUint(b, j.SeenRound)
	b = appendUint(b, uint64(j.SeenAttempt))
	b = appendStr(b, clean(j.Agent, maxAgent))
	b = appendBin(b, j.Disk[:])
	return appendMembers(appendStr(b, clean(j.Host, maxAgent)), j.members())
}

// DecodeJoin reads the body of a join. The error is a [*Refusal]; with
// ReasonUnsupported the join is returned as far as this version knows it.
func DecodeJoin(body []byte) (Join, error) {
	r := open(body, "join", ScanLimits{})
	var j Join
	r.array("fields", joinFields)
	j.Samples = r.uint64("samples")
	r.fixed("schema", j.Schema[:], true)
	r.fixed("instance", j.Instance[:], false)
	j.SeenEpoch = r.uint64("seen_epoch")
	j.SeenRound = r.uint64("seen_round")
	j.SeenAttempt = r.uint32("seen_attempt")
	j.Agent = r.text("agent", maxAgent)
	r.fixed("disk", j.Disk[:], false)
	j.Host = r.text("host", maxAgent)
	r.members(joinMembers(&j))
	if err := r.close(); err != nil {
		return Join{}, err
	}
	return j, r.lacking()
}
