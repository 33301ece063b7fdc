package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// A large message is a file whose name is the SHA-256 of its topic: version, QoS,
// length of the topic (2 bytes), checksum (4 bytes, little endian, of all the others),
// topic, payload.

const (
	largeVersion = 1
	largeHeader  = 1 + 1 + 2 + 4
	unfinished   = ".new" // of a file that is being written
)

func (m *RetainedMessage) large() bool { return m != nil && len(m.Payload) >= largeRetained }

func largeName(topic string) string {
	sum := sha256.Sum256([]byte(topic))
	return hex.EncodeToString(sum[:])
}

func (r *Retained) writeLarge(m *RetainedMessage) error {
	if err := r.disk.MkdirAll("."); err != nil {
		return err
	}
	name := largeName(m.Topic)
	if err := r.disk.Remove(name + unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := r.disk.Create(name + unfinished)
	if err != nil {
		return err
	}
	head := append([]byte{largeVersion, m.QoS}, binary.LittleEndian.AppendUint16(nil, uint16(len(m.Topic)))...)
	head = append(binary.LittleEndian.AppendUint32(head, largeSum(head, m.Topic, m.Payload)), m.Topic...)
	for _, b := range [][]byte{head, m.Payload} {
		if err == nil {
			_, err = f.Write(b)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, r.disk.Remove(name+unfinished)) // a full disk wants the room
	}
	return r.disk.Rename(name+unfinished, name)
}

func largeSum(start []byte, topic string, payload []byte) uint32 {
	c := crc32.Update(0, castagnoli, start)
	c = crc32.Update(c, castagnoli, []byte(topic))
	return crc32.Update(c, castagnoli, payload)
}

func (r *Retained) readLarge(name string) (m RetainedMessage, err error) {
	raw, err := r.disk.ReadFile(name)
	if err != nil {
		return m, err
	}
	if len(raw) < largeHeader {
		return m, errShort
	}
	n := largeHeader + int(binary.LittleEndian.Uint16(raw[2:]))
	if len(raw) <= n {
		return m, errShort
	}
	m = RetainedMessage{Topic: string(raw[largeHeader:n]), QoS: raw[1], Payload: raw[n:]}
	switch {
	case raw[0] != largeVersion:
		return m, fmt.Errorf("file version %d, this fedmq knows %d", raw[0], largeVersion)
	case binary.LittleEndian.Uint32(raw[4:]) != largeSum(raw[:4], m.Topic, m.Payload), largeName(m.Topic) != name:
		return m, errSum
	case m.QoS > 2:
		return m, fmt.Errorf("QoS %d", m.QoS)
	}
	return m, nil
}

// openLarge finds the large messages, and removes what is broken, not finished, or
// older than what the database has.
func (r *Retained) openLarge() error {
	files, err := r.disk.List(".")
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Dir {
			continue
		}
		m, err := r.readLarge(f.Name)
		_, newer := r.filed[m.Topic]
		if err == nil && !newer {
			r.filed[m.Topic] = places{file: true}
			continue
		}
		if err != nil && !strings.HasSuffix(f.Name, unfinished) {
			r.findings = append(r.findings, fmt.Sprintf("%s: retained message in %s dropped: %v", r.path, f.Name, err))
		}
		if err := r.disk.Remove(f.Name); err != nil {
			return fmt.Errorf("%w: remove %s beside %s: %w", ErrDisk, f.Name, r.path, err)
		}
	}
	return nil
}

func (r *Retained) eachLarge(fn func(RetainedMessage) error) error {
	r.mu.Lock()
	filed := maps.Clone(r.filed)
	r.mu.Unlock()
	for _, topic := range slices.Sorted(maps.Keys(filed)) {
		if !filed[topic].file {
			continue
		}
		m, err := r.readLarge(largeName(topic))
		if err != nil {
			return fmt.Errorf("%w: beside %s, topic %q: %w", ErrCorrupt, r.path, topic, err)
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}
