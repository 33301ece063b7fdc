package link

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// AWSSlashes is the most slashes that AWS IoT Core takes in a topic or a filter; it
// cuts the connection at more.
const AWSSlashes = 7

const (
	whyTime  = 5 * time.Second // for each try of Why
	whyEvery = time.Hour       // while a broker goes on saying no
)

// CheckLevels counts the levels of the deepest topic of a party before anybody
// connects, where the broker's name says that it counts them.
func CheckLevels(broker, deepest string) error {
	list, err := parseBrokers(broker)
	if err != nil {
		return nil //nolint:nilerr // said elsewhere
	}
	for _, a := range list {
		if err := checkLevels(a, deepest); err != nil {
			return err
		}
	}
	return nil
}

func checkLevels(a address, deepest string) error {
	n := strings.Count(deepest, "/")
	if n <= AWSSlashes || !strings.HasSuffix(a.url.Hostname(), ".amazonaws.com") {
		return nil
	}
	return fmt.Errorf("link: %s has %d slashes, AWS IoT Core takes %d: shorten namespace, owner or member path", deepest, n, AWSSlashes)
}

// Why asks a broker that does not take a party's CONNECT, or cuts its link, for the
// likely causes, each with its cure; none when all is well, or nothing is known. It
// connects ten times at most, one after the other: as the party does, in MQTT 5 if the
// broker speaks it, and with less and less of what may be in the way.
func Why(ctx context.Context, cfg Config) (Announced, []string) {
	w := why{cfg: cfg}
	w.levels()
	as, err := w.try(ctx, cfg)
	switch {
	case err == nil:
		w.announced(as)
	case errors.Is(err, ErrRefused), errors.Is(err, ErrCut), errors.Is(err, context.DeadlineExceeded):
		w.reason(err)
		w.less(ctx, err)
	default:
		w.say("%v", err)
	}
	return as, w.causes
}

// oneProcess is what to do where two processes use one client id.
const oneProcess = "run one for all tasks of a member, or give each a client_id"

// why collects causes.
type why struct {
	cfg    Config
	causes []string
}

func (w *why) say(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	for _, c := range w.causes {
		if c == s {
			return
		}
	}
	w.causes = append(w.causes, s)
}

// try connects once, in MQTT 5 or else in 3.1.1, and leaves politely.
func (w *why) try(ctx context.Context, cfg Config) (Announced, error) {
	short, cancel := context.WithTimeout(ctx, whyTime)
	defer cancel()
	p, a, err := OpenProbe5(short, cfg)
	if err == nil {
		p.Close()
		return a, nil
	}
	r, said := refused5(err)
	if said && r.Code != noProtocol5 || !said && !errors.Is(err, ErrCut) && !errors.Is(err, context.DeadlineExceeded) {
		return a, err
	}
	short, cancel = context.WithTimeout(ctx, whyTime)
	defer cancel()
	old, err := OpenProbe(short, cfg, false)
	if err != nil {
		return Announced{}, err
	}
	old.Close()
	return Announced{Version: 4, MaxQoS: 2, Retain: true}, nil
}

const (
	retainCure = "fedmq needs retained messages: switch them on (Mosquitto: retain_available true), for what is below the namespace at least"
	qosCure    = "fedmq needs QoS 1: raise what the broker takes at most (Mosquitto: max_qos 1 or 2)"
)

// announced turns what a broker says of itself into causes.
func (w *why) announced(a Announced) {
	if !a.Retain {
		w.say("the broker announces that it keeps no retained messages: %s", retainCure)
	}
	if a.MaxQoS == 0 {
		w.say("the broker announces QoS 0 at most: %s", qosCure)
	}
}

// reason says what the broker said.
func (w *why) reason(err error) {
	r, said := refused5(err)
	old, saidOld := errors.AsType[reason4](err)
	switch {
	case saidOld && old == packets.ErrRefusedServerUnavailable:
		w.say("the broker says: %v: it is full, or not ready yet; raise its limit of connections (Mosquitto: max_connections)", old)
	case saidOld && old == packets.ErrRefusedBadUsernameOrPassword:
		w.say("the broker says: %v: correct username and password_file", old)
	case saidOld:
		w.say("the broker says: %v", old)
	case !said:
	case r.Code == noRetain5:
		w.say("the broker says: %v: %s", r, retainCure)
	case r.Code == noQoS5:
		w.say("the broker says: %v: %s", r, qosCure)
	case r.Code == 0x97, r.Code == 0x89, r.Code == 0x9f:
		w.say("the broker says: %v: it is full, or this user is; raise its limit of connections (Mosquitto: max_connections)", r)
	case r.Code == takenOver5:
		w.say("the broker says: %v: another process uses the client id %q: %s", r, w.cfg.ClientID, oneProcess)
	case r.Code == 0x86:
		w.say("the broker says: %v: correct username and password_file", r)
	default:
		w.say("the broker says: %v", r)
	}
}

// less takes away what may be in the way until the broker takes CONNECT.
func (w *why) less(ctx context.Context, first error) {
	plain, err := w.cfg, first
	var a Announced
	if plain.Will != nil {
		plain.Will = nil
		if a, err = w.try(ctx, plain); err == nil {
			w.announced(a)
			w.will(ctx)
			return
		}
		w.reason(err)
	}
	if r, said := refused5(err); said && slices.Contains([]byte{0x86, takenOver5, 0x97, 0x89, 0x9f}, r.Code) {
		return // its word is enough
	}
	if r, said := errors.AsType[reason4](err); said && (r == packets.ErrRefusedServerUnavailable || r == packets.ErrRefusedBadUsernameOrPassword) {
		return
	}
	other := plain
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	other.ClientID = "fedmq" + hex.EncodeToString(b[:])
	if a, err = w.try(ctx, other); err == nil {
		w.announced(a)
		w.say("the broker takes another client id, and not %q: its client ids may want a prefix (Mosquitto: clientid_prefixes), at most 23 characters, or to be known; set client_id", w.cfg.ClientID)
		return
	}
	if errors.Is(first, ErrRefused) {
		w.say("the broker refuses this user under any client id: correct username, password_file or the client certificate; a broker that wants client ids with a prefix (Mosquitto: clientid_prefixes) says the same, then set client_id")
		return
	}
	w.say("the broker closes every connection without a word: it may be full (Mosquitto: max_connections), expect TLS (tls://) or a client certificate, or not be MQTT; client ids may want a prefix (Mosquitto: clientid_prefixes), then set client_id; its log says more")
}

// will says what of the Last Will the broker does not take.
func (w *why) will(ctx context.Context) {
	known := len(w.causes)
	for _, t := range []struct {
		change func(*Message)
		cause  string
	}{
		{func(m *Message) { m.Retained = false }, "the broker does not take a Last Will that is retained: " + retainCure},
		{func(m *Message) { m.QoS = 0 }, "the broker does not take a Last Will with QoS 1: " + qosCure},
		{func(m *Message) { m.QoS, m.Retained = 0, false }, "the broker takes a Last Will only with QoS 0 and not retained: " + retainCure + "; " + qosCure},
	} {
		changed, m := w.cfg, *w.cfg.Will
		t.change(&m)
		changed.Will = &m
		if _, err := w.try(ctx, changed); err == nil {
			w.say("%s", t.cause)
			return
		}
	}
	if len(w.causes) == known || !strings.Contains(w.causes[0], "announces") {
		w.say("the broker takes this party without its Last Will and not with it: user %q must be allowed to write %s", w.cfg.Username, w.cfg.Will.Topic)
	}
}

// levels counts the slashes of the longest topic.
func (w *why) levels() {
	for _, topic := range []string{w.cfg.Deepest, w.willTopic()} {
		if n := strings.Count(topic, "/"); n > AWSSlashes {
			w.say("%s has %d slashes: AWS IoT Core takes %d and cuts the connection at more; a shorter namespace or member path helps", topic, n, AWSSlashes)
			return
		}
	}
}

func (w *why) willTopic() string {
	if w.cfg.Will == nil {
		return ""
	}
	return w.cfg.Will.Topic
}
