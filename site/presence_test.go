package site

import (
	"strings"
	"testing"
)

// Only a connection that was not known has what is unanswered sent again (S-41);
// who goes off line is remembered, to tell whether it comes back.
func TestPresence(t *testing.T) {
	t.Parallel()
	on := func(instance string, connected int64) presence {
		return presence{Schema: StateSchema, Online: true, Instance: instance, ConnectedMS: connected}
	}
	off := presence{Schema: StateSchema}
	var o owner
	for i, c := range []struct {
		p    presence
		anew bool
	}{
		{off, false}, // before anything else is known
		{on("a", 1), true},
		{on("a", 1), false},
		{on("a", 2), true}, // it has connected again
		{off, false},
		{on("a", 2), false}, // the same connection: its Will was that of another
		{on("b", 2), true},
	} {
		if got := o.take(c.p); got != c.anew || o.Online != c.p.Online {
			t.Errorf("%d: anew %t, on line %t, want %t, %t", i, got, o.Online, c.anew, c.p.Online)
		}
	}
	if o.Instance != "b" || !o.known {
		t.Errorf("%+v", o)
	}
}

func TestPresenceOf(t *testing.T) {
	t.Parallel()
	good := `{"schema":"` + StateSchema + `","online":true}`
	if p, ok := presenceOf([]byte(good)); !ok || !p.Online {
		t.Errorf("%+v %t", p, ok)
	}
	for _, bad := range []string{"", "{", "7", `{"schema":"other","online":true}`, good + strings.Repeat(" ", maxState)} {
		if p, ok := presenceOf([]byte(bad)); ok {
			t.Errorf("%.40q: %+v", bad, p)
		}
	}
}
