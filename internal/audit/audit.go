// Package audit appends lines of JSON to a file: who did what, when. Open a
// Log, run it, write entries, cancel its context. Write never waits for the disk;
// a line that the disk refuses is tried again, and what is lost in the end is
// counted in the file itself. The package never removes, renames or rewrites a
// line.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	maxQueue   = 1 << 14     // lines that wait for the disk
	retryAfter = time.Second // a write that failed
)

// Log is one file. Its methods may be called from any goroutine.
type Log struct {
	path, node string
	trouble    func(error)
	file       *os.File // Run's
	last       string   // SHA-256 of the last line in it, hex; "" before the first

	mu    sync.Mutex
	queue [][]byte
	lost  int  // lines since the queue became full
	look  bool // for whether the file was renamed
	stats Stats
	wake  chan struct{}
}

// Stats are the numbers of a log.
type Stats struct {
	Written uint64 // lines on disk
	Waiting int    // lines that are not yet
	Lost    uint64 // lines that never will be
}

// Open makes or opens the file; node is whose log it is. Trouble is called by Run
// with the error when writing fails, and with nil when it works again.
func Open(path, node string, trouble func(error)) (*Log, error) {
	l := &Log{path: path, node: node, trouble: trouble, wake: make(chan struct{}, 1)}
	f, err := l.open()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l.file = f
	if l.last, err = lastHash(f); err != nil {
		return nil, errors.Join(fmt.Errorf("audit: %w", err), f.Close())
	}
	return l, nil
}

// Reopen looks now, and not with the next line, for whether the file was
// renamed. A nil log has none.
func (l *Log) Reopen() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.look = true
	l.mu.Unlock()
	l.ring()
}

func (l *Log) open() (*os.File, error) {
	return os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
}

// Write queues a line. A nil log takes nothing.
func (l *Log) Write(e Entry) {
	if l == nil {
		return
	}
	b := l.line(e)
	l.mu.Lock()
	if len(l.queue) < maxQueue {
		l.queue = append(l.queue, b)
	} else {
		l.lost++
		l.stats.Lost++
	}
	l.mu.Unlock()
	l.ring()
}

func (l *Log) line(e Entry) []byte {
	e.Time, e.Node = time.Now().UTC(), l.node
	b, err := json.Marshal(e)
	if err != nil { // a struct of strings and numbers
		panic(err)
	}
	return append(b, '\n')
}

func (l *Log) ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Stats returns the numbers now.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Waiting = len(l.queue)
	return s
}

// Run writes what is queued until ctx ends, then once more, and closes the
// file. Its error says what could not be written in the end.
func (l *Log) Run(ctx context.Context) error {
	failing := false
	for {
		err := l.flush()
		if failed := err != nil; failed != failing {
			failing = failed
			l.trouble(err)
		}
		again := make(<-chan time.Time)
		if failing {
			again = time.After(retryAfter)
		}
		select {
		case <-again:
			continue
		case <-l.ready(failing):
			continue
		case <-ctx.Done():
		}
		return errors.Join(l.flush(), l.file.Close())
	}
}

// ready is when there is something new to write; while writing fails it is
// never.
func (l *Log) ready(failing bool) <-chan struct{} {
	if failing {
		return nil
	}
	return l.wake
}

// flush writes what is queued, and in its place how many lines were lost behind
// it. It stays queued until it is on disk.
func (l *Log) flush() error {
	lines, n, lost, look := l.queued()
	if len(lines) == 0 && !look {
		return nil
	}
	err := l.append(bytes.Join(lines, nil))
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.look = true
		return fmt.Errorf("audit: %d lines are not written: %w", n+lost, err)
	}
	l.queue = l.queue[n:]
	l.lost -= lost
	l.stats.Written += uint64(len(lines))
	return nil
}

// queued returns what is to be written now: n lines that stay queued, and one for
// those that were lost. Who asks for a look from now on gets another one.
func (l *Log) queued() (lines [][]byte, n, lost int, look bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, lost, look, l.look = len(l.queue), l.lost, l.look, false
	lines = l.queue[:n:n]
	if lost > 0 {
		lines = append(lines, l.line(Entry{Event: Lost, Count: lost}))
	}
	return lines, n, lost, look
}

// append writes whole lines and syncs them, or takes back what it has written
// of them.
func (l *Log) append(text []byte) error {
	if err := l.follow(); err != nil {
		return err
	}
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size == 0 && l.last != "" {
		text = append(l.line(Entry{Event: Goes, SHA256: l.last}), text...)
	}
	if len(text) == 0 {
		return nil
	}
	if size > 0 { // the process before may have died within a line
		var last [1]byte
		if _, err := l.file.ReadAt(last[:], size-1); err == nil && last[0] != '\n' {
			text = append([]byte{'\n'}, text...)
		}
	}
	if _, err = l.file.Write(text); err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		_ = l.file.Truncate(size) // if that fails too, the next line begins anew
		return err
	}
	l.last = hashLast(text)
	return nil
}

// follow opens the file again if somebody has renamed it: that is how logs are
// rotated.
func (l *Log) follow() error {
	now, err := os.Stat(l.path)
	if err == nil {
		had, err := l.file.Stat()
		if err == nil && os.SameFile(now, had) {
			return nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	_ = l.file.Close() // all of it is synced
	l.file = f
	return nil
}
