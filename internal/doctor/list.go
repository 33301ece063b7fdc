package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// List says which lines of the broker's access list a party lacks, as Mosquitto
// writes them.
type List struct {
	Schema  string   `json:"schema"`
	Broker  string   `json:"broker"`
	User    string   `json:"user"`
	There   []string `json:"there"`
	Missing []string `json:"missing"`
	Unknown []string `json:"unknown"` // nothing came, and nobody said anything that could

	as string // the user of the other party, which was asked to say it; "": nobody was
}

// ListSchema names the form of a List as JSON.
const ListSchema = "fedmq.access.v1"

const (
	listTime  = time.Minute     // all of it
	listQuiet = 1 * time.Second // nothing more comes
	listMost  = 5 * time.Second // of listening without a break
)

// CheckList tries what a party writes and reads with its own user. What is not retained
// another party says, if there is one, or the owner that runs, which a site asks. Writes are judged by
// the PUBACK of MQTT 5, the Last Will by what the other party hears of it, reads by
// what comes: a broker may grant a subscription and deliver nothing. It publishes
// empty messages, which every party takes for nothing, and for JSON a word that no
// reader knows; none is retained.
func CheckList(ctx context.Context, me Party, other *Party) (*List, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	if err := link.CheckNames(ctx, me.id("asks"), me.state, me.reads...); err != nil {
		return nil, err
	}
	a := &access{me: me, other: other, verdict: map[string]Verdict{}}
	err := a.run(ctx)
	l := &List{as: userName(other), Schema: ListSchema, Broker: link.Shown(me.link.Broker), User: me.link.Username, There: []string{}, Missing: []string{}, Unknown: []string{}}
	for _, line := range a.lines() {
		switch a.verdict[line] {
		case Open:
			l.There = append(l.There, line)
		case Denied:
			l.Missing = append(l.Missing, line)
		default:
			l.Unknown = append(l.Unknown, line)
		}
	}
	return l, err
}

// access is one try of a list.
type access struct {
	me      Party
	other   *Party
	verdict map[string]Verdict // by line
	sub     *link.Probe        // reads as me
	got     map[string][]byte  // by topic, the newest payload heard
}

// lines are those that the party needs, in the order of the list.
func (a *access) lines() (list []string) {
	need := map[string]bool{}
	for _, t := range a.me.writes {
		need[a.me.rule(true, t)] = true
	}
	for _, f := range a.me.reads {
		need[a.me.rule(false, f)] = true
	}
	for _, r := range a.me.rules {
		word := "read "
		if r.Write {
			word = "write "
		}
		if line := "topic " + word + r.Filter; need[line] && !slices.Contains(list, line) {
			list = append(list, line)
		}
	}
	return list
}

// judge notes a verdict; that a line is missing has the last word.
func (a *access) judge(line string, v Verdict) {
	if line != "" && a.verdict[line] != Denied {
		a.verdict[line] = v
	}
}

func (a *access) run(ctx context.Context) error {
	a.got = map[string][]byte{}
	if err := a.listen(ctx); err != nil {
		return err
	}
	defer func() { a.sub.Close() }()
	a.gather(ctx, listQuiet, nil) // what is retained
	said := map[string]bool{}
	if err := a.write(ctx, said); err != nil {
		return err
	}
	if a.other != nil {
		if err := a.answers(ctx, said); err != nil {
			return err
		}
	}
	a.gather(ctx, listQuiet, nil)
	if err := a.ask(ctx, said); err != nil {
		return err
	}
	a.hear(said)
	return ctx.Err()
}

// id is a client id of a party's own for this.
func (p *Party) id(what string) link.Config {
	cfg := p.link
	cfg.ClientID = link.UniqueID(cmp.Or(cfg.Username, "fedmq"), "doctor-"+what)
	return cfg
}

// listen subscribes to what the party reads, one filter at a time: a broker may cut
// the link at the one that it denies.
func (a *access) listen(ctx context.Context) (err error) {
	if a.sub, err = link.OpenProbe(ctx, a.me.id("reads"), false); err != nil {
		return err
	}
	for _, f := range a.me.reads {
		codes, err := a.sub.Subscribe(ctx, link.Filter{Topic: f, QoS: 1})
		switch {
		case err == nil && codes[0] < deniedCode:
		case err == nil:
			a.judge(a.me.rule(false, f), Denied)
		case errors.Is(err, link.ErrCut):
			a.judge(a.me.rule(false, f), Denied)
			if a.sub, err = link.OpenProbe(ctx, a.me.id("reads"), false); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// gather takes in what comes until nothing more does, or enough is there. A federation
// at work is never quiet.
func (a *access) gather(ctx context.Context, quiet time.Duration, enough func() bool) {
	for end := time.Now().Add(listMost); time.Now().Before(end) && (enough == nil || !enough()); {
		m, err := a.sub.ReceiveWithin(ctx, quiet)
		if err != nil {
			return
		}
		a.got[m.Topic] = m.Payload
	}
}

// write tries each topic that the party writes; said are those that the broker
// took. Where no MQTT 5 is spoken a denial is not told, and nothing is known.
func (a *access) write(ctx context.Context, said map[string]bool) error {
	w, err := openWriter(ctx, &a.me)
	if err != nil {
		return err
	}
	if w == nil {
		return nil
	}
	defer func() { w.Close() }()
	for _, topic := range a.me.writes {
		line := a.me.rule(true, topic)
		switch err := w.Publish(ctx, a.me.word(topic)); {
		case err == nil:
			said[topic] = true
			a.judge(line, Open)
		case errors.Is(err, link.Reason5{Code: link.Denied5}):
			a.judge(line, Denied)
		case errors.Is(err, link.ErrCut):
			a.judge(line, Denied)
			if w, err = openWriter(ctx, &a.me); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: %w", topic, err)
		}
	}
	return nil
}

// openWriter is nil for a broker that speaks no MQTT 5.
func openWriter(ctx context.Context, p *Party) (*link.Probe5, error) {
	w, _, err := link.OpenProbe5(ctx, p.id("writes"))
	if link.NoMQTT5(err) || errors.Is(err, link.ErrCut) && !errors.Is(err, link.ErrRefused) {
		return nil, nil //nolint:nilnil // there is none
	}
	return w, err
}

// word is a message that changes nothing: empty where the wire is spoken, and a word
// that no reader knows where people read.
func (p *Party) word(topic string) link.Message {
	m := link.Message{Topic: topic, QoS: 1}
	if t, err := p.ns.Parse(topic); err == nil && t.Kind.JSON() && t.Kind != topics.Command {
		m.Payload = []byte(wire.DoctorWord)
	}
	return m
}

// answers has the other party say what this one is to hear, and listens to this
// one's Last Will.
func (a *access) answers(ctx context.Context, said map[string]bool) error {
	if err := a.will(ctx); err != nil {
		return err
	}
	w, err := openWriter(ctx, a.other)
	if err != nil {
		return fmt.Errorf("the other party: %w", err)
	}
	if w == nil {
		return nil
	}
	defer w.Close()
	for _, topic := range a.answerable() {
		if err := w.Publish(ctx, a.me.word(topic)); err == nil {
			said[topic] = true
		} else if errors.Is(err, link.ErrCut) {
			return nil // its own list is at fault
		}
	}
	return nil
}

// answerable are the topics that the other party writes and this one reads.
func (a *access) answerable() (list []string) {
	for _, f := range a.me.reads {
		if !strings.ContainsAny(f, "+#") && a.other.rule(true, f) != "" {
			list = append(list, f)
		}
		for _, t := range a.other.writes {
			if topics.Match(f, t) {
				list = append(list, t)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// will dies with a Last Will that the other party reads.
func (a *access) will(ctx context.Context) error {
	if a.other.rule(false, a.me.state) == "" {
		return nil
	}
	hears, err := link.OpenProbe(ctx, a.other.id("hears"), false)
	if err != nil {
		return fmt.Errorf("the other party: %w", err)
	}
	defer hears.Close()
	if codes, err := hears.Subscribe(ctx, link.Filter{Topic: a.me.state, QoS: 1}); err != nil || codes[0] >= deniedCode {
		return nil
	}
	last := []byte(`{"doctor":"dies"}`)
	cfg := a.me.id("dies")
	cfg.Will = &link.Message{Topic: a.me.state, Payload: last, QoS: 1}
	dies, err := link.OpenProbe(ctx, cfg, false)
	if errors.Is(err, link.ErrRefused) || errors.Is(err, link.ErrCut) {
		a.judge(a.me.rule(true, a.me.state), Denied)
		return nil
	}
	if err != nil {
		return err
	}
	dies.Cut()
	return a.hearsWill(ctx, hears, string(last))
}

// hearsWill judges the Will by what the other party hears, where it hears a word
// that is said beside it.
func (a *access) hearsWill(ctx context.Context, hears *link.Probe, last string) error {
	heard := false
	for {
		var m link.Message
		ok, err := soon(ctx, listQuiet, func(ctx context.Context) (err error) { m, err = hears.Receive(ctx); return err })
		switch {
		case err != nil:
			return err
		case !ok && heard: // it hears this topic, and no Will came
			a.judge(a.me.rule(true, a.me.state), Denied)
			return nil
		case !ok:
			return nil
		case string(m.Payload) == last:
			return nil
		}
		heard = true
	}
}

// hear judges what the party reads: what came is allowed, what was said and did not
// come is not.
func (a *access) hear(said map[string]bool) {
	for _, f := range a.me.reads {
		line := a.me.rule(false, f)
		came, spoken := false, false
		for t := range a.got {
			came = came || topics.Match(f, t)
		}
		for t, ok := range said {
			spoken = spoken || ok && topics.Match(f, t)
		}
		switch {
		case came:
			a.judge(line, Open)
		case spoken:
			a.judge(line, Denied)
		}
	}
}

// userName is the user of a party for people, "" without a party.
func userName(p *Party) string {
	if p == nil {
		return ""
	}
	return named(p.link.Username)
}

func named(user string) string { return cmp.Or(user, "(without a name)") }

// Text is the list for people.
func (l *List) Text() string {
	var b strings.Builder
	user := named(l.User)
	unknown := "not known: nothing came that could have; start the other party, or name its configuration with --as:"
	if l.as != "" {
		unknown = "not known: nothing came that could have, and the other party, user " + l.as +
			", could not say it; mend its lines first (doctor -c with its configuration):"
	}
	fmt.Fprintf(&b, "user %s at %s: %d of %d lines of the broker's access list are there\n", user, l.Broker, len(l.There), len(l.There)+len(l.Missing)+len(l.Unknown))
	for _, part := range []struct {
		head  string
		lines []string
	}{
		{"missing; as Mosquitto writes them:", l.Missing},
		{unknown, l.Unknown},
	} {
		if len(part.lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n\nuser %s\n%s\n", part.head, user, strings.Join(part.lines, "\n"))
		}
	}
	return b.String()
}
