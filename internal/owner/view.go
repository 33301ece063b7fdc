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

// Counted reports whether an update of the member is in the open round's sum.
func (t *Task) Counted(member string) bool {
	for _, u := range t.ups.by[member] {
		if u.state == counted {
			return true
		}
	}
	return false
}

// State is the state as the last Ready that brought one has it.
func (t *Task) State() *round.State { return t.state }

// Published reports whether the current order has its PUBACK.
func (t *Task) Published() bool { return t.pub.done }

// Round shows the round to people.
func (t *Task) Round() Round { return Round{t.round} }

// Round is what there is to see of a round, and nothing that changes it.
type Round struct{ m *round.Machine }

// Members returns a copy of all members, by index.
func (r Round) Members() []round.Member { return r.m.Members() }

// Welcomed returns how many members there are.
func (r Round) Welcomed() int { return r.m.Welcomed() }

// Path returns the path of the member at an index.
func (r Round) Path(i uint32) string { return r.m.Path(i) }

// Sending returns the members that a deadline waits for, since their uploads run.
func (r Round) Sending() []string { return r.m.Sending() }

// Contests returns the members that two processes claim.
func (r Round) Contests() []round.Contest { return r.m.Contests() }

// Waiting says what the task waits for, but since when; nil when it has ended.
func (r Round) Waiting(limit int) *round.Wait { return r.m.Waiting(limit) }

// Away lists who is not asked.
func (r Round) Away(limit int) []round.Away { return r.m.Away(limit) }

// Shelved reports whether all parts of the model were on the broker once.
func (t *Task) Shelved() bool { return t.pub.shelved }
