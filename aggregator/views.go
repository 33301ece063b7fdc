package aggregator

import (
	"runtime/debug"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// loud is the number of members up to which every fact is an event.
const loud = 100

// named is how many members a view names.
const named = 20

// agent names this program on the wire.
var agent = func() string {
	v := "dev"
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" && bi.Main.Version != "(devel)" {
		v = bi.Main.Version
	}
	return "fedmq/" + v
}()

// stateView is the presence of a node (Sparkplug's STATE pattern).
type stateView struct {
	Schema      string   `json:"schema"`
	TimestampMS int64    `json:"timestamp_ms"`
	Online      bool     `json:"online"`
	Roles       []string `json:"roles"`
	Tasks       []string `json:"tasks"`
	Instance    string   `json:"instance"`
	Broker      string   `json:"broker,omitempty"`       // the address in use, of a cluster
	ConnectedMS int64    `json:"connected_ms,omitempty"` // since when it listens without a break; not in the Last Will
	Agent       string   `json:"agent"`
	Security    string   `json:"security"`
	InsecureTLS bool     `json:"insecure_tls,omitempty"`
}

func (a *aggregator) stateJSON(online bool) []byte {
	v := stateView{
		Schema: "fedmq.state.v1", TimestampMS: a.nowMS(), Online: online, Roles: []string{"aggregator"},
		Instance: a.instance.String(), Agent: agent, Security: a.security(),
		InsecureTLS: a.cfg.TLS != nil && a.cfg.TLS.InsecureSkipVerify,
	}
	if online {
		v.ConnectedMS = a.upSince
		if len(link.Addresses(a.cfg.Broker)) > 1 {
			v.Broker = a.conn.Broker()
		}
	}
	for _, t := range a.order {
		if len(v.Tasks) < loud {
			v.Tasks = append(v.Tasks, t.cfg.Name)
		}
	}
	return jsonOf(v)
}

func (a *aggregator) stateMessage(online bool) link.Message {
	return link.Message{Topic: a.self.State(), Payload: a.stateJSON(online), QoS: 1, Retained: true}
}

func (a *aggregator) security() string {
	if a.cfg.Signer == nil {
		return record.Unsigned
	}
	return record.Signed
}

// roundView is the current round for people.
type roundView struct {
	Schema      string         `json:"schema"`
	TimestampMS int64          `json:"timestamp_ms"`
	Task        string         `json:"task"`
	Epoch       uint64         `json:"epoch"`
	Round       uint64         `json:"round"`
	Attempt     uint32         `json:"attempt"`
	Phase       round.Phase    `json:"phase"`
	Work        string         `json:"work"`
	TrainRounds uint64         `json:"train_rounds"`
	Reason      string         `json:"reason,omitempty"`
	Pause       string         `json:"pause,omitempty"` // id of the pause that is asked for or in force: what a resume names
	Version     uint64         `json:"version"`         // of the base model
	Model       string         `json:"model"`           // its content id
	Members     int            `json:"members"`         // welcomed
	Cohort      int            `json:"cohort"`
	Accepted    int            `json:"accepted"`
	WaitingFor  []string       `json:"waiting_for"`         // the first of them
	Waiting     *round.Wait    `json:"waiting,omitempty"`   // what for, who, since when, and what helps
	Away        []round.Away   `json:"away,omitempty"`      // who is not asked, since it left or was silent; the first of them
	Contested   []contestView  `json:"contested,omitempty"` // the first of them
	Uploads     *uploadsView   `json:"uploads,omitempty"`
	Quorum      int            `json:"quorum"`
	OpenedMS    int64          `json:"opened_ms"`
	DeadlineMS  uint64         `json:"deadline_ms"` // duration
	Last        summary        `json:"last"`
	Refusals    map[string]int `json:"refusals,omitempty"` // unauthenticated, since the start
	Asked       int            `json:"asked,omitempty"`    // questions of fedmq doctor that were answered, since the start
	Security    string         `json:"security"`
}

// uploadsView is the updates that come in parts just now.
type uploadsView struct {
	Running  int          `json:"running"`
	Waiting  int          `json:"waiting"`
	Received int64        `json:"received_bytes"`
	Total    int64        `json:"total_bytes"`
	Members  []uploadView `json:"members"` // the first of them
}

type uploadView struct {
	Member   string `json:"member"`
	Received int64  `json:"received_bytes"`
	Total    int64  `json:"total_bytes"`
}

// uploadsView is nil when there are none.
func (t *task) uploadsView() *uploadsView {
	v := &uploadsView{Members: []uploadView{}}
	for _, key := range t.a.uploadsOf(t) {
		up := t.a.uploads[key]
		if up.stage == nil {
			v.Waiting++
			continue
		}
		total := int64(up.offer.Blob.Length) // #nosec G115 -- the schema's size
		v.Running++
		v.Received, v.Total = v.Received+up.got, v.Total+total
		if len(v.Members) < named {
			v.Members = append(v.Members, uploadView{key.Member, up.got, total})
		}
	}
	if v.Running+v.Waiting == 0 {
		return nil
	}
	return v
}

func (t *task) view(now int64) {
	t.viewDue, t.viewAt, t.pauseShown = false, now, t.state.Pause
	t.auditUnheard()
	s := t.state
	v := roundView{
		Schema: "fedmq.round.v1", TimestampMS: now, Task: t.cfg.Name, Epoch: s.Epoch, Round: s.Round, Attempt: s.Attempt,
		Phase: s.Phase, Work: wire.WorkNone, TrainRounds: t.cfg.Rounds, Reason: haltReason(s), Pause: s.Pause, Version: s.Version,
		Model: s.Base.String(), Members: t.machine.Welcomed(), Quorum: t.cfg.Quorum, Last: t.last,
		Waiting: t.waiting(now), Away: t.machine.Away(named),
		WaitingFor: []string{}, Contested: t.contests(), Uploads: t.uploadsView(), Refusals: t.counts.refused, Asked: t.counts.asked, Security: t.a.security(),
	}
	if s.Order != nil && s.Phase == round.Open {
		v.Work, v.DeadlineMS, v.OpenedMS = s.Order.Work, s.Order.DeadlineMS, t.openedMS()
		v.Cohort, v.Accepted = len(s.Cohort), len(t.sum.in)
		for _, i := range s.Cohort {
			if p := t.machine.Path(i); t.sum.in[p] == nil && len(v.WaitingFor) < named {
				v.WaitingFor = append(v.WaitingFor, p)
			}
		}
	}
	t.a.conn.Post(link.Message{Topic: t.topics.Round(), Payload: jsonOf(v), QoS: 1, Retained: true})
	if len(t.quiet) > 0 {
		t.a.conn.Post(link.Message{Topic: t.topics.Event(), Payload: jsonOf(quietView{
			Schema: "fedmq.event.v1", TimestampMS: now, Event: "summary", Round: s.Round, Attempt: s.Attempt, Counts: t.quiet,
		})})
		t.quiet = map[round.FactKind]int{}
	}
}

func haltReason(s *round.State) string {
	switch {
	case s.Reason != "":
		return s.Reason
	case s.Finished:
		return "finished"
	case s.Paused:
		return "paused"
	case s.Stopped:
		return "stopped"
	}
	return ""
}

// quietView sums up a second of facts of a large federation.
type quietView struct {
	Schema      string                 `json:"schema"`
	TimestampMS int64                  `json:"timestamp_ms"`
	Event       string                 `json:"event"`
	Round       uint64                 `json:"round"`
	Attempt     uint32                 `json:"attempt"`
	Counts      map[round.FactKind]int `json:"counts"`
}

// eventView is one fact.
type eventView struct {
	Schema      string         `json:"schema"`
	TimestampMS int64          `json:"timestamp_ms"`
	Event       round.FactKind `json:"event"`
	Round       uint64         `json:"round"`
	Attempt     uint32         `json:"attempt"`
	Work        string         `json:"work,omitempty"`
	Member      string         `json:"member,omitempty"`
	Content     string         `json:"content,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	Detail      string         `json:"detail,omitempty"`
	Count       int            `json:"count,omitempty"`
}

func (t *task) event(f round.Fact) {
	if f.Kind == round.FactCommand && t.pauseShown != t.state.Pause {
		t.view(t.a.nowMS()) // before the answer: who has it resumes by what is shown
	}
	t.auditFact(f)
	t.tell(f)
}

// tell publishes a fact.
func (t *task) tell(f round.Fact) {
	if t.machine.Welcomed() > loud && f.Member != "" && f.Kind != round.FactCommand {
		t.quiet[f.Kind]++
		t.viewDue = true
		return
	}
	v := eventView{
		Schema: "fedmq.event.v1", TimestampMS: t.a.nowMS(), Event: f.Kind, Round: f.Round, Attempt: f.Attempt,
		Work: f.Work, Member: f.Member, Reason: f.Reason.String(), Detail: f.Detail, Count: f.Count,
	}
	if !f.Content.IsZero() {
		v.Content = f.Content.String()
	}
	if (f.Kind == round.FactRefused || f.Kind == round.FactDeclined) && t.mayLog() {
		t.log.Warn().Str("member", f.Member).Str("reason", v.Reason).Str("detail", f.Detail).
			Uint64("round", f.Round).Msg(string(f.Kind))
	}
	t.a.conn.Post(link.Message{Topic: t.topics.Event(), Payload: jsonOf(v)})
}
