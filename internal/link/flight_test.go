package link

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// refusing is a connection that takes so many bytes, and acknowledges first.
type refusing struct {
	net.Conn
	takes  int
	before func()
}

func (c *refusing) Write([]byte) (int, error) {
	c.before()
	return c.takes, io.ErrClosedPipe
}

func (c *refusing) SetWriteDeadline(time.Time) error { return nil }
func (c *refusing) Close() error                     { return nil }

// C-1: a message has one outcome, whatever the broker acknowledges, and when: also what
// was not sent, and when the session has ended.
func TestOneOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes       int  // bytes of it
		early, late bool // PUBACKs: before it is written, and after the end
		want        error
	}{
		"not sent":                       {0, false, false, ErrNotConnected},
		"acknowledged, and not sent":     {0, true, false, nil},
		"acknowledged after the end too": {0, true, true, nil},
		"sent in part":                   {1, false, false, ErrOutcomeUnknown},
		"acknowledged after the end":     {1, false, true, ErrOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { oneOutcome(t, c.takes, c.early, c.late, c.want) })
		})
	}
}

func oneOutcome(t *testing.T, takes int, early, late bool, want error) {
	s := &session{guard: guardOver(nil, 1, 512), conn: &Conn{suspects: suspects{}}, pending: map[uint16]*flight{}}
	var f *flight
	s.guard.Conn = &refusing{takes: takes, before: func() {
		for id, of := range s.pending {
			if f = of; early {
				s.acked(id)
			}
		}
	}}
	var outcomes []error
	r := &request{msg: Message{Topic: "t", QoS: 1}, done: func(err error) { outcomes = append(outcomes, err) }}
	s.used = r.weight()
	of, id := s.takeOff(r)
	s.leave(leaving{r: r, f: of, id: id})
	s.flush(nil)
	s.strand()
	if late {
		s.land(f, nil)
	}
	time.Sleep(2 * roomFor)
	if len(outcomes) != 1 || !errors.Is(outcomes[0], want) || s.used != 0 {
		t.Errorf("%v, room for %d is taken", outcomes, s.used)
	}
}
