package broker

import (
	"errors"
	"fmt"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/collect"
	"github.com/fedmq/fedmq/topics"
)

// DefaultMaxPacket is the largest MQTT packet taken: 1 MiB of payload and
// 64 KiB for all the rest.
const DefaultMaxPacket = 1<<20 + 64<<10

const (
	connectWithin = 10 * time.Second // from accept to a whole CONNECT
	retainedFile  = "retained.db"
	maxInflight   = 1024 // messages of QoS 1 and 2 to a client
)

// Config of a broker. At least Namespace and Users, or Open, are needed; with
// no address at all only [Broker.Conn] reaches it.
type Config struct {
	// TCP, WS, TLS and WSS are addresses to listen on, "host:port"; port 0
	// takes a free one, "" does not listen.
	TCP, WS, TLS, WSS string
	// CertFile and KeyFile are the server's certificate chain and key, PEM;
	// needed for TLS and WSS.
	CertFile, KeyFile string
	// ClientCA is a PEM file; a client certificate signed by it is an
	// identity: the URI "fedmq:<user name>" among its names, else its common
	// name. Empty: certificates are not asked for.
	ClientCA string
	// Origins are the web origins ("https://hmi.example") whose pages may
	// open a WebSocket, besides the broker's own host. Clients that are no
	// browser send no origin and are not concerned.
	Origins []string

	Namespace topics.Namespace
	Users     []User
	// Open lets everybody do everything. The caller warns when it listens
	// on more than the loopback.
	Open bool

	// DataDir is where retained messages are kept; "" keeps them in memory.
	DataDir string
	// MaxPacket is the largest MQTT packet in bytes; 0 is DefaultMaxPacket.
	MaxPacket int
	// Limits bound what clients cost; the zero value has all defaults.
	Limits Limits

	Log zerolog.Logger
}

// TuneRuntime suits a process that is nothing but a broker: the garbage collector
// comes twice as often, which costs little, as payloads have nothing in them to look
// at, and keeps half as much that is of no use any more; but 32 MB, since all that passes
// becomes garbage, and looking through the program costs as much as to pass 10 MB. GOGC has the last word.
func TuneRuntime() { collect.Late(50, 32<<20) }

// complete fills in defaults and refuses what cannot work.
func (c *Config) complete() error {
	if c.MaxPacket == 0 {
		c.MaxPacket = DefaultMaxPacket
	}
	if err := c.Limits.complete(); err != nil {
		return err
	}
	switch {
	case c.MaxPacket < 0 || c.MaxPacket > 256<<20:
		return fmt.Errorf("broker: packets of %d bytes: want up to 256 MiB", c.MaxPacket)
	case !c.Open && c.Namespace.String() == "":
		return errors.New("broker: no namespace")
	case !c.Open && len(c.Users) == 0:
		return errors.New("broker: no users: nobody could connect (list some, or open the broker to everybody)")
	case (c.TLS != "" || c.WSS != "") && (c.CertFile == "" || c.KeyFile == ""):
		return errors.New("broker: TLS needs a certificate and a key")
	}
	return nil
}

// capabilities are mochi's limits (M1).
func capabilities(maxPacket int) *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumMessageExpiryInterval = 0 // the default deletes retained messages after a day
	c.MaximumPacketSize = uint32(maxPacket)
	c.MaximumInflight = maxInflight
	c.MaximumClientWritesPending = 512
	c.MaximumSessionExpiryInterval = 86400
	c.MinimumProtocolVersion = 4 // MQTT 3.1.1
	c.TopicAliasMaximum = 0      // the library asks the access list before it resolves an alias
	c.SharedSubAvailable = 0
	c.Compatibilities.NoInheritedPropertiesOnAck = true // acknowledgements are kept, for QoS 2 many
	return c
}
