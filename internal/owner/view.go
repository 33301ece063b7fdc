package owner

import "github.com/fedmq/fedmq/internal/round"

// Upload is an update that comes in parts, for people.
type Upload struct {
	Member  string
	Running bool  // it has a place
	Got, Of int64 // bytes
}

// Uploads lists the updates that come in parts, by member.
func (t *Task) Uploads() (list []Upload) {
	for _, member := range t.ups.members() {
		for _, u := range t.ups.by[member] {
			if u.travels() {
				list = append(list, Upload{member, u.state == arriving, u.got, int64(u.blob.Length)}) // the schema's size
			}
		}
	}
	return list
}

// Published reports whether the current order has its PUBACK.
func (t *Task) Published() bool { return t.pub.done }

// LinesServed reports whether the released version and the canary, if there are such, have
// their PUBACK, and nothing of a former canary is left.
func (t *Task) LinesServed() bool {
	return (t.lines == nil || t.rel.done) && (t.early == nil || t.can.done) && len(t.can.gone) == 0
}

// Round shows the round.
func (t *Task) Round() Round { return t.round }

// Round is what there is to see and to ask of a [round.Machine], and nothing that changes it.
type Round interface {
	Members() []round.Member
	Welcomed() int
	Path(index uint32) string
	Sending() []string
	Contests() []round.Contest
	Waiting(limit int) *round.Wait
	Away(limit int) []round.Away
	Judge(*round.Score) *round.Best
	Stale(of uint64) (by uint64, counts bool)
}

// Shelved reports whether all parts of the model were on the broker once.
func (t *Task) Shelved() bool { return t.pub.shelved }
