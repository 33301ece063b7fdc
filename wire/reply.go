package wire

import "github.com/fedmq/fedmq/model"

// Reply is what an aggregator answers to one member (W-33): [Welcome],
// [Receipt], [Settled], [RefusalReply], [Superseded], [Standby], [Grant] or [Wait].
type Reply interface {
	Message
	reply() string // the tag
}

// Welcome answers a join: the member's durable index, and the first order it
// may take part in.
type Welcome struct {
	Index       uint32 `json:"index"`
	FromRound   uint64 `json:"from_round"`
	FromAttempt uint32 `json:"from_attempt"`

	// Members (W-49), none of them used by this version.
	Capabilities []string   `json:"capabilities,omitempty"` // words: what the owner can do beyond this version; ascending
	Policy       model.Hash `json:"policy,omitzero"`        // hash of the owner's policy
}

func welcomeMembers(w *Welcome) []member {
	return []member{
		{"capabilities", false, textsOf{&w.Capabilities, maxMembers, maxWord}},
		{"policy", false, hashOf{&w.Policy}},
	}
}

// Receipt answers an update that was accepted: it is journalled and will be in
// the round's record.
type Receipt struct {
	Round   uint64     `json:"round"`
	Attempt uint32     `json:"attempt"`
	Content model.Hash `json:"content"`

	// Member (W-49).
	Version uint64 `json:"version,omitzero"` // of the model that it will be in, where that is not the round's
}

func receiptMembers(r *Receipt) []member { return []member{{"version", true, numberOf{&r.Version}}} }

// Settled says what became of an update of a round that is over.
type Settled struct {
	Round   uint64     `json:"round"`
	Content model.Hash `json:"content"`
	Verdict string     `json:"verdict"` // counted, or why not

	// Members (W-49), none of them used by this version.
	Staleness uint64 `json:"staleness,omitzero"` // how many versions its base was behind
	Version   uint64 `json:"version,omitzero"`   // of the model that it is in, where that is not the round's
}

func settledMembers(s *Settled) []member {
	return []member{
		{"staleness", false, numberOf{&s.Staleness}},
		{"version", false, numberOf{&s.Version}},
	}
}

// RefusalReply answers an update or a join that was refused.
type RefusalReply struct {
	Round   uint64     `json:"round"`
	Attempt uint32     `json:"attempt"`
	Content model.Hash `json:"content"` // zero = absent
	Reason  string     `json:"reason"`  // closed list
	Detail  string     `json:"detail"`  // for people, at most 256 bytes
	Counter uint64     `json:"counter"` // old_counter: the highest seen
}

// Superseded tells a site process that a newer one speaks for the member.
type Superseded struct {
	Instance Nonce `json:"instance"` // the one that must stop
}

// Standby answers the join of a process while another one, on another disk,
// speaks for the member: this one may come again after a time.
type Standby struct {
	Instance Nonce  `json:"instance"` // the one that is to wait
	WaitMS   uint64 `json:"wait_ms"`  // at most 2^40
	Host     string `json:"host"`     // where the other runs, for people, at most 64 bytes
}

// Grant answers an offer: the member may send these parts of it, each once
// (W-41). Seq grows with every grant of an upload.
type Grant struct {
	Round   uint64  `json:"round"`
	Attempt uint32  `json:"attempt"`
	Seq     uint64  `json:"seq"`
	Blob    BlobKey `json:"blob"`
	Ranges  []Range `json:"ranges"` // 1..MaxRanges, ascending, disjoint
}

// Wait answers an offer that has no place yet: grants will come unasked.
type Wait struct {
	Round   uint64     `json:"round"`
	Attempt uint32     `json:"attempt"`
	Content model.Hash `json:"content"`
	Ahead   uint32     `json:"ahead"` // offers that came before it
}

// The tags of replies.
const (
	tagWelcome    = "welcome"
	tagReceipt    = "receipt"
	tagSettled    = "settled"
	tagRefusal    = "refusal"
	tagSuperseded = "superseded"
	tagStandby    = "standby"
	tagGrant      = "grant"
	tagWait       = "wait"
)

func (Welcome) reply() string      { return tagWelcome }
func (Receipt) reply() string      { return tagReceipt }
func (Settled) reply() string      { return tagSettled }
func (RefusalReply) reply() string { return tagRefusal }
func (Superseded) reply() string   { return tagSuperseded }
func (Standby) reply() string      { return tagStandby }
func (Grant) reply() string        { return tagGrant }
func (Wait) reply() string         { return tagWait }

func (w Welcome) members() []member    { return welcomeMembers(&w) }
func (r Receipt) members() []member    { return receiptMembers(&r) }
func (s Settled) members() []member    { return settledMembers(&s) }
func (RefusalReply) members() []member { return nil }
func (Superseded) members() []member   { return nil }
func (Standby) members() []member      { return nil }
func (Grant) members() []member        { return nil }
func (Wait) members() []member         { return nil }

func (Welcome) check() error        { return nil }
func (Receipt) check() error        { return nil }
func (s Settled) check() error      { return checkWord("verdict", s.Verdict) }
func (r RefusalReply) check() error { return checkWord("reason", r.Reason) }
func (Superseded) check() error     { return nil }
func (s Standby) check() error      { return checkMS("wait_ms", s.WaitMS) }
func (g Grant) check() error        { return checkRanges(g.Ranges) }
func (Wait) check() error           { return nil }

func (w Welcome) appendTo(b []byte) []byte {
	b = appendStr(appendArray(b, 5), tagWelcome)
	b = appendUint(b, uint64(w.Index))
	b = appendUint(b, w.FromRound)
	return appendMembers(appendUint(b, uint64(w.FromAttempt)), w.members())
}

func (r Receipt) appendTo(b []byte) []byte {
	b = appendStr(appendArray(b, 5), tagReceipt)
	b = appendUint(b, r.Round)
	b = appendUint(b, uint64(r.Attempt))
	return appendMembers(appendBin(b, r.Content[:]), r.members())
}

func (s Settled) appendTo(b []byte) []byte {
	b = appendStr(appendArray(b, 5), tagSettled)
	b = appendUint(b, s.Round)
	b = appendBin(b, s.Content[:])
	return appendMembers(appendStr(b, s.Verdict), s.members())
}

func (r RefusalReply) appendTo(b []byte) []byte {
	b = appendStr(appendArray(b, 8), tagRefusal)
	b = appendUint(b, r.Round)
	b = appendUint(b, uint64(r.Attempt))
	b = appendFixed(b, r.Content[:])
	b = appendStr(b, r.Reason)
	b = appendStr(b, clean(r.Detail, maxDetail))
	return appendMembers(appendUint(b, r.Counter), nil)
}

func (s Superseded) appendTo(b []byte) []byte {
	return appendMembers(appendBin(appendStr(appendArray(b, 3), tagSuperseded), s.Instance[:]), nil)
}

func (s Standby) appendTo(b []byte) []byte {
	b = appendBin(appendStr(appendArray(b, 5), tagStandby), s.Instance[:])
	return appendMembers(appendStr(appendUint(b, s.WaitMS), clean(s.Host, maxAgent)), nil)
}

func (g Grant) appendTo(b []byte) []byte {
	b = appendStr(appendArray(b, 7), tagGrant)
	b = appendUint(b, g.Round)
	b = appendUint(b, uint64(g.Attempt))
	b = appendUint(b, g.Seq)
	return appendMembers(appendRanges(appendBin(b, g.Blob[:]), g.Ranges), nil)
}

func (w Wait) appendTo(b []byte) []byte {
	b = appendStr(appendArray(b, 6), tagWait)
	b = appendUint(b, w.Round)
	b = appendUint(b, uint64(w.Attempt))
	b = appendBin(b, w.Content[:])
	return appendMembers(appendUint(b, uint64(w.Ahead)), nil)
}

// DecodeReply reads the body of a reply. The error is a [*Refusal]; with
// ReasonUnsupported the reply is returned as far as this version knows it.
func DecodeReply(body []byte) (Reply, error) {
	r := open(body, "reply", ScanLimits{})
	n := r.count("fields", MaxItems)
	tag := r.word("tag")
	if r.err != nil {
		return nil, r.err
	}
	reply, want := r.reply(tag)
	switch {
	case want == 0:
		return nil, refuse(ReasonUnsupported, StageDecode, "reply: this version lacks the reply %s", short(tag))
	case n != want:
		return nil, refuse(ReasonMalformed, StageDecode, "reply: %s of %d fields, want %d", tag, n, want)
	}
	if err := r.close(); err != nil {
		return nil, err
	}
	return reply, r.lacking()
}

// reply reads what follows a tag, and says how many fields there are with it.
func (r *reader) reply(tag string) (reply Reply, want int) {
	switch tag {
	case tagWelcome:
		w := Welcome{Index: r.uint32("index"), FromRound: r.uint64("from_round"), FromAttempt: r.uint32("from_attempt")}
		r.members(welcomeMembers(&w))
		return w, 5
	case tagSettled:
		s := Settled{Round: r.uint64("round"), Content: r.content(false), Verdict: r.word("verdict")}
		r.members(settledMembers(&s))
		return s, 5
	case tagReceipt:
		c := Receipt{Round: r.uint64("round"), Attempt: r.uint32("attempt"), Content: r.content(false)}
		r.members(receiptMembers(&c))
		return c, 5
	case tagRefusal:
		reply, want = RefusalReply{
			Round: r.uint64("round"), Attempt: r.uint32("attempt"), Content: r.content(true),
			Reason: r.word("reason"), Detail: r.text("detail", maxDetail), Counter: r.uint64("counter"),
		}, 8
	case tagSuperseded:
		var s Superseded
		r.fixed("instance", s.Instance[:], false)
		reply, want = s, 3
	case tagStandby:
		var s Standby
		r.fixed("instance", s.Instance[:], false)
		s.WaitMS, s.Host = r.uint("wait_ms", maxMS), r.text("host", maxAgent)
		reply, want = s, 5
	case tagGrant:
		g := Grant{Round: r.uint64("round"), Attempt: r.uint32("attempt"), Seq: r.uint64("seq")}
		r.fixed("blob", g.Blob[:], false)
		g.Ranges = r.ranges()
		reply, want = g, 7
	case tagWait:
		reply, want = Wait{Round: r.uint64("round"), Attempt: r.uint32("attempt"), Content: r.content(false), Ahead: r.uint32("ahead")}, 6
	default:
		return nil, 0
	}
	r.members(nil)
	return reply, want
}

// content reads a content id.
func (r *reader) content(absent bool) (id model.Hash) {
	r.fixed("content", id[:], absent)
	return id
}
