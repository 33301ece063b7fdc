package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

type modelPutCmd struct {
	clientFlags
	taskFlags
	File     string  `arg:"" type:"existingfile" help:"Safetensors file."`
	Version  *uint64 `help:"Version to publish; default: one above that on the broker, or the file's own, or 0."`
	PartSize int     `default:"129024" help:"Largest MQTT payload in bytes; a model that does not fit travels in parts."`
	SignKey  string  `type:"existingfile" placeholder:"FILE" help:"Private key of the aggregator (Ed25519, PEM), for a signed task."`
	Force    bool    `help:"Publish even if an aggregator is online, which will put its own model back."`
}

func (modelPutCmd) Help() string {
	return `For gateways without an aggregator, or to fill a broker that has lost its retained
messages. The user needs the access of an aggregator: it writes below the owner's node.

  fedmq model put quality.safetensors -n acme -t quality
  fedmq model put quality.safetensors -n acme -t quality --sign-key aggregator.pem`
}

// Times of putting a model.
const (
	lookTime = 2 * time.Second  // for what is retained to arrive
	echoTime = 10 * time.Second // for the model to come back
	slots    = 2                // of parts: a version's parts are in slot version mod 2
)

func (c *modelPutCmd) Run(ctx context.Context, logs *logFlags) error {
	ns, o, err := c.topics()
	if err != nil {
		return err
	}
	p := putting{owner: o, size: c.PartSize, live: progressOf(os.Stderr)}
	p.opener = &wire.Opener{NS: ns, Limits: wire.Limits{Part: wire.MaxPart}}
	if p.model, err = model.ReadSafetensorsFile(c.File, maxModelFile); err != nil {
		return err
	}
	if p.own, err = c.ownVersion(p.model); err != nil {
		return err
	}
	if err := errors.Join(c.sign(&p), p.fits()); err != nil {
		return usageError{err}
	}
	cl, err := c.connect(ctx, logs.quiet(), "put", link.Filter{Topic: o.Model(), QoS: 1}, link.Filter{Topic: o.State(), QoS: 1})
	if err != nil {
		return err
	}
	return errors.Join(c.put(ctx, cl, &p), cl.stop())
}

// sign takes the signing key, whose models alone count then as being there.
func (c *modelPutCmd) sign(p *putting) error {
	if c.SignKey == "" {
		return nil
	}
	key, err := wire.LoadPrivateKeyPEM(c.SignKey)
	if err != nil {
		return err
	}
	if p.signer, err = wire.NewSigner(key); err != nil {
		return err
	}
	p.opener.Keys, err = wire.NewKeys(wire.Key{Path: c.Owner, Role: topics.RoleAggregator, Public: key.Public().(ed25519.PublicKey)})
	return err
}

// ownVersion is the version in the file's metadata, if it is that of its
// values.
func (c *modelPutCmd) ownVersion(m *model.Model) (uint64, error) {
	meta, err := model.ReadSafetensorsMetadata(c.File)
	if err != nil || meta[metaContent] != m.ContentID().String() {
		return 0, err
	}
	v, err := strconv.ParseUint(meta[metaVersion], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: metadata %s: %w", c.File, metaVersion, err)
	}
	return v, nil
}

func (c *modelPutCmd) put(ctx context.Context, cl *client, p *putting) error {
	there, online := p.look(ctx, cl)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if online && !c.Force {
		return fmt.Errorf("%s: an aggregator is online and would put its own model back; stop it, or use --force", p.owner.State())
	}
	h := wire.Header{
		Kind: wire.KindModel, Task: c.Task, Sender: p.owner.Node(), Topic: p.owner.Model(), Base: p.model.ContentID(),
		Schema: p.model.Schema.Hash(), Encoding: wire.EncodingDense, Round: p.own, CreatedMS: uint64(time.Now().UnixMilli()),
	}
	if there != nil {
		h.Epoch = there.Epoch
		if h.Round = there.Round; there.Base != h.Base {
			h.Round++
		}
	}
	if c.Version != nil {
		h.Round = *c.Version
	}
	parts, err := p.publish(ctx, cl, h)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "version %d, %d bytes, content %s: %s%s\n", h.Round, len(p.model.Blob), h.Base, h.Topic, parts)
	return nil
}

// putting is one model on its way to the broker.
type putting struct {
	owner  topics.Owner
	model  *model.Model
	signer *wire.Signer
	opener *wire.Opener // of what is there
	size   int          // largest payload
	own    uint64       // version of the file
	live   liveLine
}

// fits reports a model that cannot travel at the part size.
func (p *putting) fits() error {
	if len(p.model.Schema) == 0 || len(p.model.Blob) == 0 {
		return errors.New("the file has no values")
	}
	return wire.CheckParts(p.model.Schema, p.size)
}

// look waits for what is retained: the header of the model that is there, and
// whether an aggregator is online.
func (p *putting) look(ctx context.Context, cl *client) (there *wire.Header, online bool) {
	stateSeen := false
	_, _ = cl.next(ctx, lookTime, func(m link.Message) bool { // nothing retained is an answer too
		switch {
		case m.Topic == p.owner.State() && len(m.Payload) > 0:
			s, ok := stateOf(m.Payload)
			stateSeen = ok
			online = aggregates(s)
		case m.Topic == p.owner.Model() && len(m.Payload) > 0:
			if h, _, err := p.opener.Open(m.Topic, m.Payload, wire.Bound{MaxBody: wire.MaxPart}); err == nil {
				there = &h
			}
		}
		return stateSeen && there != nil
	})
	return there, online
}

// publish seals and publishes the model, inline if it fits, and waits until the
// broker shows it: a PUBACK proves no access. It says how it went there.
func (p *putting) publish(ctx context.Context, cl *client, h wire.Header) (how string, err error) {
	payload, err := p.seal(h, wire.Model{Version: h.Round, Tensors: p.model})
	if err != nil {
		return "", err
	}
	if len(payload) > p.size {
		slot := uint32(h.Round % slots)
		blob, err := wire.NewBlob(p.model.Blob, p.size)
		if err != nil {
			return "", err
		}
		if err := p.parts(ctx, cl, blob, slot); err != nil {
			return "", err
		}
		if payload, err = p.seal(h, wire.Manifest{Version: h.Round, Schema: p.model.Schema, Slot: slot, Blob: blob}); err != nil {
			return "", err
		}
		how = fmt.Sprintf(", %d parts", blob.Count())
	}
	if err := put(ctx, cl, h.Topic, payload); err != nil {
		return "", err
	}
	_, err = cl.next(ctx, echoTime, func(m link.Message) bool { return m.Topic == h.Topic && bytes.Equal(m.Payload, payload) })
	if err != nil {
		return "", fmt.Errorf("%s: published, but the broker does not show it: may this user write there? %w", h.Topic, err)
	}
	return how, nil
}

// put publishes one retained message.
func put(ctx context.Context, cl *client, topic string, payload []byte) error {
	err := cl.conn.Publish(ctx, link.Message{Topic: topic, Payload: payload, QoS: 1, Retained: true})
	if errors.Is(err, link.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w; some brokers cut the connection of a user who may not write there", err)
	}
	return err
}

func (p *putting) seal(h wire.Header, m wire.Message) ([]byte, error) {
	body, err := wire.Encode(m)
	if err != nil {
		return nil, err
	}
	return wire.Seal(h, body, p.signer)
}

// parts publishes all parts, retained, before the manifest that names them; the
// link lets 8 be on their way.
func (p *putting) parts(ctx context.Context, cl *client, blob wire.Blob, slot uint32) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer p.live.end()
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < blob.Count() && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				off, n := blob.Span(i)
				part := wire.Part{Blob: blob.Key(), Index: uint32(i), Count: uint32(blob.Count()), Data: p.model.Blob[off : off+n]}
				if err := put(ctx, cl, p.owner.ModelPart(int(slot), i), wire.AppendPart(nil, part)); err != nil {
					cancel(err)
					return
				}
				p.live.show("%d of %d parts", done.Add(1), blob.Count())
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
