package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/topics"
)

// ErrNames says that the broker takes names for others, or not at all.
var ErrNames = errors.New("link: the broker does not take these names")

// odd are the characters that not every broker takes in names (C-22): RabbitMQ delivers
// . as / and * as +, NATS refuses blanks and a level > .
const odd = ".*> "

// deniedFilter is the least code of a SUBACK that says no.
const deniedFilter = 0x80

// CheckNames asks the broker whether it takes the names in a topic that the party writes
// and in filters that it reads. The error wraps ErrNames if it does not. Where an access
// list keeps the answer from the party nothing is known, and there is no error. About
// names that every broker takes nothing is asked.
func CheckNames(ctx context.Context, cfg Config, said string, reads ...string) error {
	reads = slices.DeleteFunc(append([]string{said}, reads...), func(f string) bool { return !strings.ContainsAny(f, odd) })
	slices.Sort(reads)
	reads = slices.Compact(reads)
	if len(reads) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, echoWait)
	defer cancel()
	cfg.ClientID, cfg.Will = cfg.ClientID+"-names", nil
	for _, f := range reads {
		if err := refusesName(ctx, cfg, f); err != nil {
			return err
		}
	}
	return changesName(ctx, cfg, said, reads)
}

// changesName says something and looks at what it is called when it comes.
func changesName(ctx context.Context, cfg Config, said string, reads []string) error {
	p, err := OpenProbe(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, f := range reads {
		if _, err := p.Subscribe(ctx, Filter{Topic: f, QoS: 1}); err != nil {
			return nil // an access list, of a broker that cuts
		}
	}
	text := fmt.Sprintf(`{"echo":%d}`, time.Now().UnixNano())
	_, err = p.Publish(ctx, 1, Message{Topic: said, Payload: []byte(text), QoS: 1})
	for err == nil {
		var m Message
		m, err = p.ReceiveWithin(ctx, time.Second)
		known := slices.ContainsFunc(reads, func(f string) bool { return topics.Match(f, m.Topic) })
		switch {
		case err != nil:
		case !known:
			return fmt.Errorf("%w: of %s comes %s, as with RabbitMQ, to which . is / and * is +: want names without . and *, or another broker", ErrNames, strings.Join(reads, " or "), m.Topic)
		case string(m.Payload) == text:
			return nil
		}
	}
	return nil // nothing is known
}

// refusesName tells a broker that takes no such name from an access list, which denies
// the wider filter too.
func refusesName(ctx context.Context, cfg Config, filter string) error {
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		if l == ">" || strings.Contains(l, " ") {
			levels[i] = "+"
		}
	}
	wider := strings.Join(levels, "/")
	if wider == filter || grants(ctx, cfg, filter) || !grants(ctx, cfg, wider) {
		return nil
	}
	return fmt.Errorf("%w: it refuses %s and takes %s, as NATS does: want names without blanks and >, or another broker", ErrNames, filter, wider)
}

// grants reports that the broker takes a subscription.
func grants(ctx context.Context, cfg Config, filter string) bool {
	p, err := OpenProbe(ctx, cfg, false)
	if err != nil {
		return false
	}
	defer p.Close()
	codes, err := p.Subscribe(ctx, Filter{Topic: filter, QoS: 1})
	return err == nil && codes[0] < deniedFilter
}

// checkNames asks once, of a Conn that is to be proven, and again as long as nobody
// answers.
func (c *Conn) checkNames(ctx context.Context) error {
	if c.named || c.proof.Said == "" {
		return nil
	}
	err := CheckNames(ctx, c.cfg, c.proof.Said, c.proof.Seen)
	c.named = err == nil
	if errors.Is(err, ErrNames) {
		return err
	}
	return nil
}
