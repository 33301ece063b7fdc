package site

import "encoding/json"

// owner is what is known of the node that owns tasks, from its presence. It is
// JSON, which anybody who may write there can forge: it makes the site speak
// sooner, and decides nothing.
type owner struct {
	presence
	known bool
}

// presence is what a site reads of an aggregator's state.
type presence struct {
	Schema      string   `json:"schema"`
	Online      bool     `json:"online"`
	Instance    string   `json:"instance"`     // of the process
	ConnectedMS int64    `json:"connected_ms"` // of its connection; 0: one of before does not say
	Tasks       []string `json:"tasks"`        // the first hundred
}

// maxState bounds the JSON that is looked at.
const maxState = 16 << 10

// presenceOf reads a presence; false: it is of another version, or nobody's.
func presenceOf(payload []byte) (p presence, ok bool) {
	ok = len(payload) <= maxState && json.Unmarshal(payload, &p) == nil && p.Schema == StateSchema
	return p, ok
}

// take takes a presence in. A connection that was not known says that what was
// sent to the one before may have reached nobody: the broker took it before the
// aggregator had subscribed again (S-41).
func (o *owner) take(p presence) (anew bool) {
	anew = p.Online && (!o.known || p.Instance != o.Instance || p.ConnectedMS != o.ConnectedMS)
	if p.Online || !o.known {
		o.known, o.presence = true, p
	}
	o.Online = p.Online // what it was stays, to tell whether it comes back
	return anew
}
