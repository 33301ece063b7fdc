package site

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// minBandwidth is that of the slowest modem worth its while, in bits a second.
const minBandwidth = 9_600

// maxTasks bounds the tasks of a site.
const maxTasks = 64

// Validate reports everything that is wrong with the configuration at once.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("site: "+format, args...)) }
	ns, err := topics.Configured(c.Namespace, c.Bulk...)
	if err != nil {
		bad("%w", err)
	}
	if c.Broker == "" && c.Dial == nil {
		bad("no broker")
	}
	if c.DataDir == "" && c.disk == nil {
		bad("no data directory")
	}
	if n := len(c.Tasks); n == 0 || n > maxTasks {
		bad("%d tasks, want 1 to %d", n, maxTasks)
	}
	if err := c.checkKeys(); err != nil {
		bad("keys: %w", err)
	}
	if err := c.checkSecurity(); err != nil {
		bad("%w", err)
	}
	if c.Bandwidth < 0 || c.Bandwidth > 0 && c.Bandwidth < minBandwidth {
		bad("bandwidth of %d bit/s, want %d or more, or 0 for no limit", c.Bandwidth, minBandwidth)
	}
	if err := c.Hours.validate(); err != nil {
		bad("%w", err)
	}
	if err == nil {
		errs = append(errs, c.checkTasks(ns)...)
	}
	if len(errs) == 0 {
		if err := link.CheckLevels(c.Broker, c.deepest(ns)); err != nil {
			bad("%w", err)
		}
	}
	return errors.Join(errs...)
}

// checkSecurity reports a least security that the keys do not give.
func (c Config) checkSecurity() error {
	switch known := len(c.Keys) > 0; {
	case c.MinSecurity == "", c.MinSecurity == SecurityOpen && !known, c.MinSecurity == SecuritySign && known:
		return nil
	case c.MinSecurity == SecurityOpen:
		return fmt.Errorf("the least security is %q, which has no effect with keys: only what they sign is believed; leave it out, or want %q", c.MinSecurity, SecuritySign)
	case c.MinSecurity == SecuritySign:
		return fmt.Errorf("the least security is %q, and no keys are given", c.MinSecurity)
	}
	return fmt.Errorf("least security %q, want %q or %q", c.MinSecurity, SecurityOpen, SecuritySign)
}

func (c Config) checkTasks(ns topics.Namespace) (errs []error) {
	var seen []string
	for i, t := range c.Tasks {
		m, err := ns.Member(c.Member, t.Name)
		if err == nil {
			_, err = m.Places()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("site: task %d: %w", i+1, err))
			continue
		}
		o, err := ns.Owner(t.Owner, t.Name)
		if err == nil {
			_, err = o.Places()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("site: task %s: owner: %w", t.Name, err))
		}
		// The site's own topics carry the task's name only.
		if slices.Contains(seen, t.Name) {
			errs = append(errs, fmt.Errorf("site: two tasks are named %s: a site's own topics carry the task's name, not its owner; one of the owners has to name its task otherwise", t.Name))
		}
		seen = append(seen, t.Name)
		if t.Trainer == nil {
			errs = append(errs, fmt.Errorf("site: task %s has no trainer", t.Name))
		} else if t.Personalise != nil {
			if err := t.Personalise.check(t.Trainer); err != nil {
				errs = append(errs, fmt.Errorf("site: task %s: personalise: %w", t.Name, err))
			}
		}
		if t.MinCount < 0 || t.MinCount == 1 {
			errs = append(errs, fmt.Errorf("site: task %s: min_count: %d, want 2 or more: one row would leave the site as it is", t.Name, t.MinCount))
		}
	}
	return errs
}

// deepest is the topic with the most levels that the site uses.
func (c Config) deepest(ns topics.Namespace) string {
	var list []string
	for _, t := range c.Tasks {
		owner, _ := ns.Owner(t.Owner, t.Name)    // checked
		member, _ := ns.Member(c.Member, t.Name) // checked
		owners, _ := owner.Places()
		members, _ := member.Places()
		list = append(list, owner.Reply(c.Member))
		for i := range owners {
			list = append(list, owners[i].ModelPart(0, 0), members[i].Update())
		}
	}
	return topics.Deepest(list...)
}
