package broker

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"

	"github.com/fedmq/fedmq/topics"
)

// Limits bound what clients can make the broker hold. A field that is 0 has its
// default: 300 sites with an account each and 50 screens do not meet one.
type Limits struct {
	// Connections are let in at once, of all users together: 1 or more, by
	// default 10,000. The last tenth is for those who were in before.
	Connections int `yaml:"connections"`
	// Connecting are connections that are not let in yet: 1 or more, by default
	// 1,024. One more closes the oldest of the address that has the most.
	Connecting int `yaml:"connecting"`
	// PerAddress are connections from one address (IPv6: one /64): 1 or more, by
	// default 256. Loopback and TrustedAddresses have no such limit.
	PerAddress int `yaml:"per_address"`
	// TrustedAddresses are addresses, or prefixes such as 10.20.0.0/16, behind
	// which many clients stand.
	TrustedAddresses []string `yaml:"trusted_addresses"`
	// Sessions are kept for clients that are away, of all users together: 1 or
	// more, by default 1,000. Beyond it the oldest goes.
	Sessions int `yaml:"sessions"`
	// QueuedBytes wait in these sessions, of all users together: 1 or more, by
	// default 128 MiB. Beyond it the oldest session goes.
	QueuedBytes int `yaml:"queued_bytes"`
	// Queue is what waits for clients that are connected, beyond 4 MiB of each, of
	// all users together: 1 or more, by default 128 MiB.
	Queue int `yaml:"queue"`

	Site      RoleLimits `yaml:"site"`    // consumers too
	Watcher   RoleLimits `yaml:"watcher"` // operators too
	Owner     RoleLimits `yaml:"owner"`   // aggregators
	Anonymous RoleLimits `yaml:"anonymous"`
}

// RoleLimits are those of one user, by its role; a user with two has the larger
// of each. Everybody of an open broker is one user, Anonymous.
type RoleLimits struct {
	// Connections are distinct client ids at once: 1 or more, by default 8 for a
	// site, 64 for a watcher and an owner, 10,000 for anonymous.
	Connections int `yaml:"connections"`
	// Sessions are kept for clients that are away: 1 or more, by default 4 for a
	// site, 64 for a watcher and an owner, 1,000 for anonymous.
	Sessions int `yaml:"sessions"`
	// QueuedBytes wait in these sessions, together: 1 or more, by default 8 MiB for
	// a site, 16 MiB for a watcher, 64 MiB for an owner and anonymous.
	QueuedBytes int `yaml:"queued_bytes"`
	// Queue is what waits for one client that is connected, in bytes, sent and not
	// acknowledged included: 1 or more, by default 4 MiB for a site and a watcher (16
	// parts of a model and 64 KiB should fit), 64 MiB for an owner (all parts that it
	// grants at once, 32 MiB) and anonymous. Beyond it messages are dropped.
	Queue int `yaml:"queue"`
	// RetainedBytes and RetainedTopics are of retained messages: 1 or more, by
	// default 32 MiB and 1,000, for an owner and anonymous 1 GiB and 100,000: all
	// slots of its largest model have to fit.
	RetainedBytes  int `yaml:"retained_bytes"`
	RetainedTopics int `yaml:"retained_topics"`
	// Subscriptions are of all its sessions together; the first 16 of each are free: 1
	// or more, by default 1,000 for a site, 4,000 for a watcher, 10,000 for an owner and
	// anonymous.
	Subscriptions int `yaml:"subscriptions"`
}

const mib = 1 << 20

var defaultLimits = Limits{
	Connections: 10_000, Connecting: 1_024, PerAddress: 256, Sessions: 1_000, QueuedBytes: 128 * mib, Queue: 128 * mib,
	Site:      RoleLimits{Connections: 8, Sessions: 4, QueuedBytes: 8 * mib, Queue: 4 * mib, RetainedBytes: 32 * mib, RetainedTopics: 1_000, Subscriptions: 1_000},
	Watcher:   RoleLimits{Connections: 64, Sessions: 64, QueuedBytes: 16 * mib, Queue: 4 * mib, RetainedBytes: 32 * mib, RetainedTopics: 1_000, Subscriptions: 4_000},
	Owner:     RoleLimits{Connections: 64, Sessions: 64, QueuedBytes: 64 * mib, Queue: 64 * mib, RetainedBytes: 1024 * mib, RetainedTopics: 100_000, Subscriptions: 10_000},
	Anonymous: RoleLimits{Connections: 10_000, Sessions: 1_000, QueuedBytes: 64 * mib, Queue: 64 * mib, RetainedBytes: 1024 * mib, RetainedTopics: 100_000, Subscriptions: 10_000},
}

// Limits returns those in force, with their defaults filled in.
func (b *Broker) Limits() Limits { return b.cfg.Limits }

// complete fills in defaults and refuses what is out of range.
func (l *Limits) complete() error {
	if err := fill(reflect.ValueOf(l).Elem(), reflect.ValueOf(defaultLimits), "limits."); err != nil {
		return err
	}
	_, err := l.trusted()
	return err
}

func fill(l, preset reflect.Value, name string) error {
	for i := range l.NumField() {
		f, key := l.Field(i), name+l.Type().Field(i).Tag.Get("yaml")
		switch f.Kind() {
		case reflect.Struct:
			if err := fill(f, preset.Field(i), key+"."); err != nil {
				return err
			}
		case reflect.Int:
			if f.Int() < 0 {
				return fmt.Errorf("broker: %s is %d, want 1 or more, or 0 for its default", key, f.Int())
			}
			f.SetInt(cmp.Or(f.Int(), preset.Field(i).Int()))
		}
	}
	return nil
}

func (l *Limits) trusted() (list []netip.Prefix, err error) {
	for _, s := range l.TrustedAddresses {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("broker: limits.trusted_addresses: %q is neither an address nor a prefix such as 10.20.0.0/16", cut(s))
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// of returns the limits of a user.
func (l *Limits) of(parties []topics.Party) RoleLimits {
	var most RoleLimits
	for _, p := range parties {
		r := l.Watcher
		switch p.Role {
		case topics.RoleSite, topics.RoleConsumer:
			r = l.Site
		case topics.RoleAggregator:
			r = l.Owner
		}
		a, b := reflect.ValueOf(&most).Elem(), reflect.ValueOf(r)
		for i := range a.NumField() {
			a.Field(i).SetInt(max(a.Field(i).Int(), b.Field(i).Int()))
		}
	}
	if len(parties) == 0 { // may connect and do nothing
		return l.Watcher
	}
	return most
}
