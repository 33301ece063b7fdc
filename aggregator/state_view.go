package aggregator

import (
	"runtime/debug"

	"github.com/fedmq/fedmq/internal/link"
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

// stateView is the presence of a node (Sparkplug's STATE pattern).
type stateView struct {
	Schema      string   `json:"schema"`
	TimestampMS int64    `json:"timestamp_ms"`
	Online      bool     `json:"online"`
	Roles       []string `json:"roles"`
	Tasks       []string `json:"tasks"`
	Instance    string   `json:"instance"`
	Broker      string   `json:"broker,omitempty"`       // the address in use, of a cluster
	ConnectedMS int64    `json:"connected_ms,omitempty"` // since when it listens without a break; not in the Last Will
	Agent       string   `json:"agent"`
	Security    string   `json:"security"`
	InsecureTLS bool     `json:"insecure_tls,omitempty"`
}

func (a *aggregator) stateJSON(online bool) []byte {
	v := stateView{
		Schema: "fedmq.state.v1", TimestampMS: a.nowMS(), Online: online, Roles: []string{"aggregator"},
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
	return jsonOf(v)
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
