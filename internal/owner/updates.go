package owner

import (
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// update is one contribution of a member, from when it is heard of until it is
// recorded, or not wanted. Its bytes are the driver's, by its key.
type update struct {
	Key
	state  state
	ev     round.Update // what the round hears of it
	blob   wire.Blob    // of one that comes in parts
	entire bool         // each part of it travels
	before model.Hash   // an update whose parts may serve this one: its place is kept until this one has one
	copied bool         // some did
	got    int64        // bytes of it that are there
	came   model.Hash   // content id of what came in parts
	told   uint32       // the attempt in which the round heard that it is under way
	kept   *round.Verdict
}

// state is how far an update has come.
type state uint8

const (
	offered  state = iota // its member would send it
	admitted              // it is to come: it waits for a place
	arriving              // it has a place, and its parts come
	whole                 // it is all there, to be checked or judged
	counted               // it is in the open round's sum
	gone                  // nothing of it is wanted any more
)

// travels reports whether the receiver knows of it.
func (u *update) travels() bool { return u.state == admitted || u.state == arriving }

// updates are those of one task.
type updates struct {
	by      map[string][]*update // by member; few each
	due     []*update            // whole, to be checked, one after the other
	checked *update              // being checked
}

func newUpdates() updates { return updates{by: map[string][]*update{}} }

func (s *updates) find(k Key) *update {
	for _, u := range s.by[k.Member] {
		if u.Content == k.Content {
			return u
		}
	}
	return nil
}

// travelling is the update of a member that comes in parts: there is at most one.
func (s *updates) travelling(member string) *update {
	for _, u := range s.by[member] {
		if u.travels() {
			return u
		}
	}
	return nil
}

func (s *updates) add(u *update) { s.by[u.Member] = append(s.by[u.Member], u) }

func (s *updates) remove(u *update) {
	list := slices.DeleteFunc(s.by[u.Member], func(o *update) bool { return o == u })
	if s.by[u.Member] = list; len(list) == 0 {
		delete(s.by, u.Member)
	}
}

// next is the update to be checked now: one at a time, as a driver has room for one.
func (s *updates) next() *Check {
	for s.checked == nil && len(s.due) > 0 {
		u := s.due[0]
		if s.due = s.due[1:]; u.state == whole {
			s.checked = u
			return &Check{Key: u.Key, Came: u.came, Kept: u.kept}
		}
	}
	return nil
}

// members are those with updates, by path.
func (s *updates) members() []string { return slices.Sorted(maps.Keys(s.by)) }
