package aggregator

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/topics"
)

const (
	viewEvery = time.Second // between two publications of a task's round view
	loud      = 100         // the number of members up to which every fact is an event
	named     = 20          // members that a view names
)

// telling is what a task tells people: the round view, events, numbers and the
// curve on the broker, lines of the audit log and of the program's. It looks at
// the task and decides nothing.
type telling struct {
	of     told
	by     teller
	task   string
	topics topics.Owner
	log    zerolog.Logger

	last     summary         // of the last record
	measured summary         // of the last one in which a model was measured
	remarked map[string]bool // remarks on records, logged once each
	curve    shownLast
	numbers  shownLast
	quiet    map[round.FactKind]int // facts of large cohorts since the last view
	counts   counts
	tally    tally
	audited  audited
	loggedMS int64

	viewDue    bool
	viewAt     int64  // when it was published, in ms
	pauseShown string // in it
}

// told is a task of which something is told.
type told interface {
	roundView(now int64) view.Round
	current() *round.State
	welcomed() int
}

// teller is the aggregator that tells it.
type teller interface {
	post(link.Message)
	nowMS() int64
	connected() bool
	live() bool            // connected, and the machines have started
	audits() func(Audited) // nil: nobody asks
	security() string
	operatorOf(kid [8]byte) string // "" for an unknown key
}

func newTelling(of told, by teller, task string, o topics.Owner, log zerolog.Logger) telling {
	return telling{of: of, by: by, task: task, topics: o, log: log, remarked: map[string]bool{}, quiet: map[round.FactKind]int{}}
}

// mayLog allows one line a second about what members send.
func (t *telling) mayLog() bool {
	now := t.by.nowMS()
	if now-t.loggedMS < 1000 {
		return false
	}
	t.loggedMS = now
	return true
}

// counts are what is shown on the round view since the process started.
type counts struct {
	bytesUp, bytesDown int64
	refused            map[string]int // unauthenticated refusals by reason
	asked              int            // doctors answered
}

// tally is what a task counts for its Stats.
type tally struct {
	committed, abandoned uint64
	seconds              float64
	refused              map[string]uint64
	up, down, needed     uint64
}

// audited is what a task keeps for the audit log.
type audited struct {
	keys      map[string]string    // of members, by path, since the process began
	commands  map[string]commander // on their way through the machine, by id
	unheard   map[unheard]int      // refused messages and commands that nobody is proven to have sent
	published version              // told last
	signer    string               // key id that the last command named
	operator  string               // whose key that is, if it is listed
}

// commander is who gave a command; zero on a task that is not signed.
type commander struct{ operator, key string }

// unheard is why messages or commands were not heard, and who is said to have
// sent them: a member's path, or a command's key id.
type unheard struct {
	event       audit.Event // Refused or Command
	sender, why string
}

// shownLast is when the curve, or the numbers, were published, in ms, and whether they
// have changed since.
type shownLast struct {
	due bool
	at  int64
}
