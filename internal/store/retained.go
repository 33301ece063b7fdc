package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// gatherFor is how long changes of retained messages are gathered before
	// one transaction writes them all.
	gatherFor = 20 * time.Millisecond
	// batchBytes bounds one such transaction, and what is written to files before
	// the next one may come.
	batchBytes = 1 << 20

	// largeRetained is the length from which on a payload rests before it is written,
	// to a file of its own: of a database it would map as much as it takes into memory.
	largeRetained = 16 << 10
	restAtMost    = time.Minute
)

// RestFor is how long a large message has to stand before it is written.
const RestFor = 10 * time.Second

// retainedBucket is the only bucket of the broker's file.
const retainedBucket Bucket = "retained"

// RetainedMessage is one retained message of a broker.
type RetainedMessage struct {
	Topic   string
	Payload []byte
	QoS     byte
}

// Retained keeps a broker's retained messages in a bbolt file of their own, and those
// of 16 KiB or more, parts of models, in a file each, in a directory beside it.
// Changes are gathered off the caller's path and written by [Retained.Run] in
// groups: a change is durable within 50 ms on a disk that syncs in 30 ms or
// less, so that a kill -9 of the broker loses at most the last 50 ms, which
// the owners of the topics publish again. Only the newest message of a topic
// waits, which bounds the memory.
//
// A large one is written once it has stood for
// a while, or its topic has changed for a minute: what is replaced before is never
// written. Until then the file has the one before.
//
// Retained messages are a cache of what aggregators and sites have on their
// disks: a broken value is dropped and a broken file set aside, both reported
// by [Retained.Findings], instead of keeping the broker from starting.
type Retained struct {
	path     string
	disk     Disk // the directory of large ones
	db       *bolt.DB
	update   func(func(*bolt.Tx) error) error // db.Update, less in tests
	findings []string
	wake     chan struct{}
	rest     time.Duration

	mu      sync.Mutex
	resting map[string]resting
	ripe    *time.Timer                 // until they are looked at, nil when none rests
	due     bool                        // it is time
	pending map[string]*RetainedMessage // nil = deleted
	writing map[string]*RetainedMessage // taken from pending by flush
	filed   map[string]places           // topics on the disk
	failed  error                       // of the last write
}

// places is where a topic is on the disk: in both only while it moves.
type places struct{ database, file bool }

// ErrUnkeepable is a message that the file cannot hold, whatever the disk does.
var ErrUnkeepable = errors.New("store: cannot be kept")

// MaxRetainedTopic is the longest topic that can be kept, in bytes.
const MaxRetainedTopic = bolt.MaxKeySize

const (
	retryAfter  = time.Second // the first attempt after a failed write
	retryAtMost = time.Minute
)

// OpenRetained opens or makes the file; large messages rest for as long as rest says,
// [RestFor] but in tests. It fails with [ErrLocked] when another process has it.
func OpenRetained(path string, rest time.Duration) (*Retained, error) {
	r := &Retained{
		path: path, disk: osDisk{strings.TrimSuffix(path, filepath.Ext(path))}, wake: make(chan struct{}, 1), rest: rest,
		resting: map[string]resting{}, pending: map[string]*RetainedMessage{}, filed: map[string]places{},
	}
	err := r.open()
	if errors.Is(err, ErrCorrupt) {
		aside := path + ".broken"
		if rerr := os.Rename(path, aside); rerr != nil {
			return nil, fmt.Errorf("store: set %s aside: %w", path, rerr)
		}
		r.findings = append(r.findings, fmt.Sprintf("%s was broken and is now %s: %v", path, aside, err))
		err = r.open()
	}
	if err != nil {
		return nil, err
	}
	if err := r.openLarge(); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	return r, nil
}

// open opens the file, makes its bucket and drops broken values.
func (r *Retained) open() error {
	db, err := openBolt(r.path)
	if err != nil {
		return err
	}
	err = guard(r.path, func() error {
		return db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(retainedBucket))
			if err != nil {
				return err
			}
			var broken [][]byte
			err = b.ForEach(func(k, raw []byte) error {
				if _, err := unsealRetained(k, raw); err != nil {
					r.findings = append(r.findings, fmt.Sprintf("%s: retained message of %q dropped: %v", r.path, k, err))
					broken = append(broken, append([]byte{}, k...))
				} else {
					r.filed[string(k)] = places{database: true}
				}
				return nil
			})
			for _, k := range broken {
				err = errors.Join(err, b.Delete(k))
			}
			return err
		})
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	r.db, r.update = db, db.Update
	return nil
}

// Findings says what was dropped when the file was opened, for the log.
func (r *Retained) Findings() []string { return r.findings }

// SetRetained replaces the retained message of m.Topic; an empty payload
// deletes it. It only queues the change and does not wait for the disk;
// m.Payload must not change afterwards. A topic that is empty or longer than
// [MaxRetainedTopic] is [ErrUnkeepable].
func (r *Retained) SetRetained(m RetainedMessage) error {
	if m.Topic == "" || len(m.Topic) > MaxRetainedTopic {
		return fmt.Errorf("%w: a topic of %d bytes, want 1 to %d", ErrUnkeepable, len(m.Topic), MaxRetainedTopic)
	}
	if len(m.Payload) == 0 {
		r.DeleteRetained(m.Topic)
		return nil
	}
	r.queue(m.Topic, &m)
	return nil
}

// DeleteRetained forgets the retained message of topic, queued likewise.
func (r *Retained) DeleteRetained(topic string) { r.queue(topic, nil) }

// queue notes the newest of a topic. What never came to the file needs no
// deletion: while the disk fails, topics that come and go leave nothing behind.
func (r *Retained) queue(topic string, m *RetainedMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.large() {
		r.lay(m)
		return
	}
	delete(r.resting, topic)
	_, filed := r.filed[topic]
	_, writing := r.writing[topic]
	if m == nil && !filed && !writing {
		delete(r.pending, topic)
		return
	}
	r.pending[topic] = m
	r.rouse()
}

// EachRetained calls fn for every message on the disk; call it before Run.
func (r *Retained) EachRetained(fn func(RetainedMessage) error) error {
	err := r.eachSmall(fn)
	if err == nil {
		err = r.eachLarge(fn)
	}
	return err
}

func (r *Retained) eachSmall(fn func(RetainedMessage) error) error {
	return r.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(retainedBucket)).ForEach(func(k, raw []byte) error {
			m, err := unsealRetained(k, raw)
			if err != nil {
				return fmt.Errorf("%w: %s, topic %q: %w", ErrCorrupt, r.path, k, err)
			}
			return fn(m)
		})
	})
}

// Run writes queued changes until ctx is done, then the rest. When a write
// fails it says so to report, keeps what was queued and tries again, later and
// later up to a minute; report hears nil when a write has succeeded again. The
// error is that of the last write, an [ErrDisk].
func (r *Retained) Run(ctx context.Context, report func(error)) error {
	pause := retryAfter
	for {
		select {
		case <-ctx.Done():
			r.ripen(true)
			return r.flush()
		case <-r.wake:
		}
		select {
		case <-ctx.Done():
		case <-time.After(gatherFor):
		}
		r.ripen(false)
		before := r.Failed()
		err := r.flush()
		if err == nil {
			pause = retryAfter
			if before != nil {
				report(nil)
			}
			continue
		}
		report(err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, retryAtMost)
		r.rouse()
	}
}

// Failed returns why the last write failed, nil when it did not.
func (r *Retained) Failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Close releases the file; Run has ended.
func (r *Retained) Close() error { return r.db.Close() }

func unsealRetained(key, raw []byte) (RetainedMessage, error) {
	val, err := unseal(retainedBucket, key, raw)
	if err != nil {
		return RetainedMessage{}, err
	}
	if len(val) < 2 || val[0] > 2 {
		return RetainedMessage{}, errShort
	}
	return RetainedMessage{Topic: string(key), QoS: val[0], Payload: append([]byte{}, val[1:]...)}, nil
}
