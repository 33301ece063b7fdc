package link

import (
	"context"
	"slices"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Publish sends messages of QoS 0 to 2, at most window of them unacknowledged,
// and returns how many the broker has acknowledged (QoS 0: were written). It
// waits for all; ErrCut and the end of ctx stop it.
func (p *Probe) Publish(ctx context.Context, window int, messages ...Message) (acked int, err error) {
	open := map[uint16]bool{}
	for sent := 0; acked < len(messages); {
		if sent < len(messages) && len(open) < max(window, 1) {
			id, err := p.send(ctx, &messages[sent])
			if err != nil {
				return acked, err
			}
			if messages[sent].QoS > 0 {
				open[id] = true
			} else {
				acked++
			}
			sent++
			continue
		}
		id, err := p.acknowledged(ctx)
		if err != nil {
			return acked, err
		}
		if open[id] {
			delete(open, id)
			acked++
		}
	}
	return acked, nil
}

func (p *Probe) send(ctx context.Context, m *Message) (uint16, error) {
	if err := checkTopic(m.Topic); err != nil {
		return 0, err
	}
	pk := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pk.TopicName, pk.Payload, pk.Qos, pk.Retain = m.Topic, m.Payload, m.QoS, m.Retained
	if m.QoS > 0 {
		pk.MessageID = p.nextID()
	}
	return pk.MessageID, p.write(ctx, pk)
}

// acknowledged takes one packet and returns the id of a publish that ended with
// it, or 0.
func (p *Probe) acknowledged(ctx context.Context) (uint16, error) {
	pk, err := p.packet(ctx)
	if err != nil {
		return 0, err
	}
	switch pk := pk.(type) {
	case *packets.PubackPacket:
		return pk.MessageID, nil
	case *packets.PubcompPacket:
		return pk.MessageID, nil
	case *packets.PubrecPacket:
		rel := packets.NewControlPacket(packets.Pubrel).(*packets.PubrelPacket)
		rel.MessageID = pk.MessageID
		return 0, p.write(ctx, rel)
	}
	return 0, p.keep(ctx, pk)
}

// keep puts a message aside, and answers what a QoS 2 message still wants.
func (p *Probe) keep(ctx context.Context, pk packets.ControlPacket) error {
	switch pk := pk.(type) {
	case *packets.PublishPacket:
		p.got = append(p.got, pk)
	case *packets.PubrelPacket:
		comp := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
		comp.MessageID = pk.MessageID
		return p.write(ctx, comp)
	}
	return nil
}

// Subscribe sends one SUBSCRIBE and returns the code of each filter: the QoS
// granted, or 0x80.
func (p *Probe) Subscribe(ctx context.Context, filters ...Filter) ([]byte, error) {
	pk := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	pk.MessageID = p.nextID()
	for _, f := range filters {
		pk.Topics, pk.Qoss = append(pk.Topics, f.Topic), append(pk.Qoss, f.QoS)
	}
	if err := p.write(ctx, pk); err != nil {
		return nil, err
	}
	for {
		answer, err := p.packet(ctx)
		if err != nil {
			return nil, err
		}
		if ack, ok := answer.(*packets.SubackPacket); ok && ack.MessageID == pk.MessageID {
			return slices.Clone(ack.ReturnCodes), nil
		}
		if err := p.keep(ctx, answer); err != nil {
			return nil, err
		}
	}
}

// Receive returns the next message and acknowledges it.
func (p *Probe) Receive(ctx context.Context) (Message, error) {
	for len(p.got) == 0 {
		pk, err := p.packet(ctx)
		if err != nil {
			return Message{}, err
		}
		if err := p.keep(ctx, pk); err != nil {
			return Message{}, err
		}
	}
	pk := p.got[0]
	p.got = p.got[1:]
	m := Message{Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.Qos, Retained: pk.Retain}
	return m, p.acknowledge(ctx, pk)
}

// ReceiveWithin is Receive for d at most: what a broker keeps comes at once, and
// then nothing more.
func (p *Probe) ReceiveWithin(ctx context.Context, d time.Duration) (Message, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return p.Receive(ctx)
}

func (p *Probe) acknowledge(ctx context.Context, pk *packets.PublishPacket) error {
	switch pk.Qos {
	case 1:
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = pk.MessageID
		return p.write(ctx, ack)
	case 2:
		rec := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
		rec.MessageID = pk.MessageID
		return p.write(ctx, rec)
	}
	return nil
}
