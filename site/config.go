package site

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/link"
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

	Bulk               []string    // roots beside the namespace below which orders may have updates and models travel; default none
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

	Personalise *Personalise // train what the task releases for this site itself, too; nil: no
	MinCount    int          // rows behind every number of a task of statistics that leaves the site, 2 and up; default 10
	MinMax      bool         // tell the least and the greatest value where such a task asks for them: each is one row
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

// Audited is one thing that an auditor asks about; docs/howto/audit.md lists
// them.
type Audited = audit.Entry

// reach is the site's way to the broker.
func (c Config) reach() link.Config {
	return link.Config{
		Broker: c.Broker, ClientID: c.ClientID, Username: c.Username, Password: c.Password,
		TLS: c.TLS, Headers: c.Headers, Dial: c.Dial,
	}
}
