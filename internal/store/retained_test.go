package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/store"
)

// keep runs fn beside Run and returns when everything it queued is written.
func keep(t *testing.T, path string, fn func(*store.Retained)) {
	t.Helper()
	r, err := store.OpenRetained(path, store.RestFor)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, func(err error) { t.Error(err) }) }()
	fn(r)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func set(t *testing.T, r *store.Retained, m store.RetainedMessage) {
	t.Helper()
	if err := r.SetRetained(m); err != nil {
		t.Error(err)
	}
}

func stored(t *testing.T, path string) (msgs map[string]string, findings []string) {
	t.Helper()
	r, err := store.OpenRetained(path, store.RestFor)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	msgs = map[string]string{}
	err = r.EachRetained(func(m store.RetainedMessage) error {
		msgs[m.Topic] = fmt.Sprintf("%d %s", m.QoS, m.Payload)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return msgs, r.Findings()
}

func TestRetained(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "retained.db")
	keep(t, path, func(r *store.Retained) {
		set(t, r, store.RetainedMessage{Topic: "a", Payload: []byte("old"), QoS: 1})
		set(t, r, store.RetainedMessage{Topic: "a", Payload: []byte("new"), QoS: 1})
		set(t, r, store.RetainedMessage{Topic: "b", Payload: []byte("gone")})
		set(t, r, store.RetainedMessage{Topic: "c", Payload: []byte("cleared")})
		set(t, r, store.RetainedMessage{Topic: "d", Payload: []byte("stays")})
	})
	keep(t, path, func(r *store.Retained) {
		r.DeleteRetained("b")
		set(t, r, store.RetainedMessage{Topic: "c"})
		r.DeleteRetained("never there")
	})
	got, findings := stored(t, path)
	if d := cmp.Diff(map[string]string{"a": "1 new", "d": "0 stays"}, got); d != "" || len(findings) != 0 {
		t.Errorf("stored (-want +got):\n%s%v", d, findings)
	}
}

// More than one transaction's worth arrives whole.
func TestRetainedManyLarge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "retained.db")
	part := make([]byte, 1<<20)
	part[0] = 1
	keep(t, path, func(r *store.Retained) {
		for i := range 40 {
			set(t, r, store.RetainedMessage{Topic: fmt.Sprint(i), Payload: part})
		}
	})
	if got, _ := stored(t, path); len(got) != 40 {
		t.Errorf("%d of 40 messages", len(got))
	}
}

// Retained messages are a cache: what is broken goes, and the rest starts.
func TestRetainedBroken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "retained.db")
	keep(t, path, func(r *store.Retained) {
		set(t, r, store.RetainedMessage{Topic: "good", Payload: []byte("payload one")})
		set(t, r, store.RetainedMessage{Topic: "bad", Payload: []byte("payload two")})
	})
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.ReplaceAll(string(raw), "payload two", "payload TWO")
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	got, findings := stored(t, path)
	if d := cmp.Diff(map[string]string{"good": "0 payload one"}, got); d != "" || len(findings) != 1 || !strings.Contains(findings[0], `"bad"`) {
		t.Errorf("stored (-want +got):\n%s%v", d, findings)
	}

	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, findings = stored(t, path)
	if len(got) != 0 || len(findings) != 1 || !strings.Contains(findings[0], ".broken") {
		t.Errorf("after the file was ruined: %v %v", got, findings)
	}
	if _, err := os.Stat(path + ".broken"); err != nil {
		t.Error(err)
	}
}

// What bbolt cannot hold is refused to the caller and is no failure of the
// disk: the longest topic is kept, one byte more is not.
func TestRetainedUnkeepable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "retained.db")
	longest := strings.Repeat("a", store.MaxRetainedTopic)
	keep(t, path, func(r *store.Retained) {
		for _, topic := range []string{"", longest + "a", strings.Repeat("a", 65535)} {
			if err := r.SetRetained(store.RetainedMessage{Topic: topic, Payload: []byte("x")}); !errors.Is(err, store.ErrUnkeepable) {
				t.Errorf("topic of %d bytes: %v", len(topic), err)
			}
			r.DeleteRetained(topic)
		}
		set(t, r, store.RetainedMessage{Topic: longest, Payload: []byte("x")})
	})
	if got, findings := stored(t, path); len(got) != 1 || got[longest] == "" || len(findings) != 0 {
		t.Errorf("%d messages, %v", len(got), findings)
	}
}
