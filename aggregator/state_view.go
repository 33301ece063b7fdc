package aggregator

import (
	"runtime/debug"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/record"
)

// agent names this program on the wire.
var agent = func() string {
	v := "dev"
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" && bi.Main.Version != "(devel)" {
		v = bi.Main.Version
	}
	return "fedmq/" + v
}()

func (a *aggregator) stateJSON(online bool) []byte {
	v := view.State{
		Schema: view.StateSchema, TimestampMS: a.nowMS(), Online: online, Roles: []string{"aggregator"},
		Instance: a.instance.String(), Agent: agent, Security: a.security(),
		InsecureTLS: a.cfg.TLS != nil && a.cfg.TLS.InsecureSkipVerify,
	}
	if online {
		v.ConnectedMS = a.upSince
		if len(link.Addresses(a.cfg.Broker)) > 1 {
			v.Broker = a.conn.Broker()
		}
	}
	for _, t := range a.order {
		if len(v.Tasks) < loud {
			v.Tasks = append(v.Tasks, t.cfg.Name)
		}
	}
	return view.JSON(v)
}

func (a *aggregator) stateMessage(online bool) link.Message {
	return link.Message{Topic: a.self.State(), Payload: a.stateJSON(online), QoS: 1, Retained: true}
}

func (a *aggregator) security() string {
	if a.cfg.Signer == nil {
		return record.Unsigned
	}
	return record.Signed
}
