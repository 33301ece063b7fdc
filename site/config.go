package site

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// Config says what one site does. The zero value of a field is its default;
// the fields without a default are named by Validate when missing.
type Config struct {
	Broker    string // URL: tcp://host:1883, tls://host:8883, ws://host/path, wss://host/path; required but with Dial
	Namespace string // enterprise prefix of the UNS, for example "acme"; required
	Member    string // path of this site below the namespace, 1 to 5 levels: "berlin/line-1"; required
	DataDir   string // directory of state, outbox and models, one for each site; made when missing; required
	Tasks     []Task // at least one

	ClientID           string      // MQTT client id; default: of the user, the namespace and the member (C-14)
	Username, Password string      // MQTT credentials; default none
	TLS                *tls.Config // for tls and wss brokers; nil: the system's roots
	Headers            http.Header // of the request for a WebSocket; default none

	Signer      *wire.Signer // signs what the site says; nil: unsigned
	Keys        []wire.Key   // keys of the aggregators; required with Signer, and the other way round
	MinSecurity Security     // weakest setting this site takes part in; default SecurityOpen

	Bandwidth int64 // bits a second that parts of models, and parts of updates, take at most; 9,600 and up; default no limit
	Hours     Hours // time of day in which parts travel; default always

	Host  string                                      // this machine's name, for people, at most 64 bytes; default os.Hostname
	Agent string                                      // name and version for joins and presence, at most 64 bytes; default "fedmq"
	Log   zerolog.Logger                              // default: silent
	Now   func() time.Time                            // default time.Now
	Rand  io.Reader                                   // default crypto/rand.Reader
	Dial  func(ctx context.Context) (net.Conn, error) // replaces the network connection, for tests and in-process brokers

	Monitor *Monitor // shows the numbers of the run, one for each run; default none

	// Audit is called from the driver's goroutine, which it must not hold up, with
	// what an auditor asks about: models received, updates made and sent, what
	// became of them; default none.
	Audit func(Audited)

	disk disk // tests
}

// Security is how much of what arrives is proven.
type Security string

// The settings, each includes the one before.
const (
	SecurityOpen Security = "open" // what TLS and the broker's access rules give
	SecuritySign Security = "sign" // every message acted on carries a known key's signature
)

// Task is one federated model that the site takes part in.
type Task struct {
	Name    string          // [a-z0-9-]{1,64}; required
	Owner   string          // node of the aggregator: a path below the namespace; default "", the namespace itself
	Trainer trainer.Trainer // what trains, on this site's data; required
}

// minBandwidth is that of the slowest modem worth its while, in bits a second.
const minBandwidth = 9_600

// maxTasks bounds the tasks of a site.
const maxTasks = 64

// Validate reports everything that is wrong with the configuration at once.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("site: "+format, args...)) }
	ns, err := topics.New(c.Namespace)
	if err != nil {
		bad("namespace: %w", err)
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
	switch c.MinSecurity {
	case "":
	case SecurityOpen:
		if len(c.Keys) > 0 {
			bad("the least security is %q, which has no effect with keys: only what they sign is believed; leave it out, or want %q", c.MinSecurity, SecuritySign)
		}
	case SecuritySign:
		if len(c.Keys) == 0 {
			bad("the least security is %q, and no keys are given", c.MinSecurity)
		}
	default:
		bad("least security %q, want %q or %q", c.MinSecurity, SecurityOpen, SecuritySign)
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

func (c Config) checkTasks(ns topics.Namespace) (errs []error) {
	var seen []string
	for i, t := range c.Tasks {
		if _, err := ns.Member(c.Member, t.Name); err != nil {
			errs = append(errs, fmt.Errorf("site: task %d: %w", i+1, err))
			continue
		}
		if _, err := ns.Owner(t.Owner, t.Name); err != nil {
			errs = append(errs, fmt.Errorf("site: task %s: owner: %w", t.Name, err))
		}
		// The site's own topics carry the task's name only.
		if slices.Contains(seen, t.Name) {
			errs = append(errs, fmt.Errorf("site: two tasks are named %s: a site's own topics carry the task's name, not its owner; one of the owners has to name its task otherwise", t.Name))
		}
		seen = append(seen, t.Name)
		if t.Trainer == nil {
			errs = append(errs, fmt.Errorf("site: task %s has no trainer", t.Name))
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
		list = append(list, owner.ModelPart(0, 0), owner.Reply(c.Member), member.Update())
	}
	return topics.Deepest(list...)
}

// clientID says only once what is both user and member (C-14).
func clientID(c Config) string {
	if c.Username == "" || c.Username == c.Member {
		return link.PartyID(c.Member, "site", c.Namespace)
	}
	return link.PartyID(c.Username, "site", c.Namespace, c.Member)
}

// withDefaults returns c with every default filled in.
func (c Config) withDefaults() Config {
	if c.ClientID == "" {
		c.ClientID = clientID(c)
	}
	if c.MinSecurity == "" {
		c.MinSecurity = SecurityOpen
	}
	if c.Agent == "" {
		c.Agent = "fedmq"
	}
	if c.Host == "" {
		c.Host, _ = os.Hostname()
		c.Host = cmp.Or(c.Host, "unknown")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}
