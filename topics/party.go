package topics

import (
	"cmp"
	"strconv"
)

// speaker is a node that writes topics of a task.
type speaker struct {
	node, base, bulk string
	ns               Namespace
	path             string
}

func (n Namespace) speaker(path, task string) (speaker, error) {
	if err := CheckTask(task); err != nil {
		return speaker{}, err
	}
	node := n.Node(path)
	base := node + "/" + Marker + "/" + task + "/"
	return speaker{node: node, base: base, bulk: base, ns: n, path: path}, nil
}

// Node returns the full path of the node, with the namespace.
func (s speaker) Node() string { return s.node }

// State is the presence of the node; one for all its tasks.
func (s speaker) State() string { return s.node + "/" + Marker + "/" + leafState }

// Owner builds the topics that the owner of a task writes, and Command, which
// an operator writes below the owner's node.
type Owner struct {
	speaker
	line string // leaf of another model than the newest; "": none
}

// Owner returns the topics of a task owned by the node at path ("" = the
// namespace itself), or an error that wraps [ErrTopic].
func (n Namespace) Owner(path, task string) (Owner, error) {
	if err := n.checkNode(path); err != nil {
		return Owner{}, err
	}
	s, err := n.speaker(path, task)
	return Owner{speaker: s}, err
}

// Roster is the signed list of parties; one for all tasks of the node.
func (o Owner) Roster() string { return o.node + "/" + Marker + "/" + leafRoster }

// Round is the JSON view of the current round.
func (o Owner) Round() string { return o.base + "round" }

// KPI is the topic of one number. A name may come from a member, so whatever
// it is the result is a topic: bytes that such a name cannot have become
// "-", as does a leading "_", and the name ends after 64 bytes (T-8).
func (o Owner) KPI(name string) string { return o.base + "kpi/" + kpiName(name) }

// Event carries one fact a message.
func (o Owner) Event() string { return o.base + "event" }

// Record is the head of the last round's record.
func (o Owner) Record() string { return o.base + "record" }

// History is the course of the task's numbers, for who comes later.
func (o Owner) History() string { return o.base + "history" }

// Statistics is what a task of statistics has gathered.
func (o Owner) Statistics() string { return o.base + "statistics" }

// Order is the current order.
func (o Owner) Order() string { return o.base + "order" }

// Released is the same owner, whose Model and ModelPart are those of the version that is
// approved for the lines.
func (o Owner) Released() Owner {
	o.line = Released.String()
	return o
}

// Canary is the same owner, whose Model and ModelPart are those of the version that some
// nodes run before it is released to all.
func (o Owner) Canary() Owner {
	o.line = Canary.String()
	return o
}

// Model is the global model, inline, or its manifest.
func (o Owner) Model() string {
	return o.bulk + cmp.Or(o.line, Model.String())
}

// ModelAt says where the model is, for people.
func (o Owner) ModelAt() string { return o.base + "model_at" }

// ModelPart is part i of the model in slot (0..7); i is 0..3999.
func (o Owner) ModelPart(slot, i int) string {
	return o.Model() + "/" + strconv.Itoa(slot) + "/" + strconv.Itoa(i)
}

// Reply is where the member at path (checked by the caller) reads answers.
func (o Owner) Reply(member string) string { return o.base + "reply/" + member }

// Receipts is the bitmap of accepted members.
func (o Owner) Receipts() string { return o.base + "receipts" }

// Command is where operators write.
func (o Owner) Command() string { return o.base + "command" }

// Member builds the topics that one member of a task writes.
type Member struct{ speaker }

// Member returns the topics of the member at path, or an error that wraps
// [ErrTopic].
func (n Namespace) Member(path, task string) (Member, error) {
	if err := n.checkMember(path); err != nil {
		return Member{}, err
	}
	s, err := n.speaker(path, task)
	return Member{s}, err
}

// Status is the site's phase and progress in the task.
func (m Member) Status() string { return m.base + "status" }

// Join says that the site takes part.
func (m Member) Join() string { return m.base + "join" }

// Update carries the update, its offer, or a decline.
func (m Member) Update() string { return m.bulk + "update" }

// Part carries a granted part.
func (m Member) Part() string { return m.bulk + "part" }

// Need names the model parts that subscribing did not bring.
func (m Member) Need() string { return m.base + "need" }

func kpiName(name string) string {
	if word(name) {
		return name
	}
	b := []byte(name[:min(len(name), MaxLevel)])
	for i, c := range b {
		if !wordByte(c) || i == 0 && c == '_' {
			b[i] = '-'
		}
	}
	if len(b) == 0 {
		return "-"
	}
	return string(b)
}
