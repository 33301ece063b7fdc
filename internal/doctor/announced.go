package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/link"
)

// Announced is what the broker says of itself, where it speaks MQTT 5.
type Announced struct {
	MQTT5     bool `json:"mqtt5"`
	MaxQoS    int  `json:"max_qos"`
	Retain    bool `json:"retain"`
	MaxPacket int  `json:"max_packet"` // bytes, 0: no limit
	Receive   int  `json:"receive"`    // publishes unacknowledged at a time
	KeepAlive int  `json:"keep_alive"` // seconds that it wants instead, 0: what the client asks for
}

// announced asks the broker what it takes. One that speaks no MQTT 5, or takes
// this user under MQTT 3.1.1 only, announces nothing.
func (e *exam) announced(ctx context.Context) error {
	cfg := e.cfg.Link
	cfg.ClientID = e.prefix + "asks"
	_, err := soon(ctx, e.patience(), func(ctx context.Context) error {
		p, a, err := link.OpenProbe5(ctx, cfg)
		if err == nil {
			p.Close()
			e.report.Announced = Announced{true, int(a.MaxQoS), a.Retain, int(a.MaxPacket), int(a.Receive), int(a.KeepAlive)}
		}
		return err
	})
	return err
}

func (a Announced) text() string {
	if !a.MQTT5 {
		return "nothing (no MQTT 5)"
	}
	s := fmt.Sprintf("QoS %d, retained %s", a.MaxQoS, yes(a.Retain))
	if a.MaxPacket > 0 {
		s += fmt.Sprintf(", packets of %d bytes", a.MaxPacket)
	}
	if a.KeepAlive > 0 {
		s += fmt.Sprintf(", keep-alive %d s", a.KeepAlive)
	}
	return s
}

// problems are what fedmq cannot do without.
func (a Announced) problems() (list []string) {
	if a.MQTT5 && !a.Retain {
		list = append(list, "the broker announces that it keeps no retained messages: switch them on (Mosquitto: retain_available true)")
	}
	if a.MQTT5 && a.MaxQoS < 1 {
		list = append(list, "the broker announces QoS 0 at most: raise it to 1 (Mosquitto: max_qos 1)")
	}
	return list
}

// explain adds to the error of a broker that says no what is likely behind it.
func (e *exam) explain(ctx context.Context, err error) error {
	if !cutOff(err) && !errors.Is(err, ErrDenied) || ctx.Err() != nil {
		return err
	}
	cfg := e.cfg.Link
	cfg.ClientID = e.prefix + "asks"
	cfg.Will = &link.Message{Topic: e.own.State(), Payload: []byte("{}"), QoS: 1, Retained: true}
	_, causes := link.Why(ctx, cfg)
	causes = append(e.report.Announced.problems(), causes...)
	if len(causes) == 0 {
		return err
	}
	return errors.Join(err, errors.New("likely: "+strings.Join(causes, "\nlikely: ")))
}
