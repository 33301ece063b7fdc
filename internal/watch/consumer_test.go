package watch

import "testing"

// A consumer is no site: it has a row of its own with the version that it runs, whichever
// of its presence and status comes first, until it is cleared.
func TestConsumers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.open(3, 0, 2)
	state := object{"schema": "fedmq.state.v1", "online": true, "roles": []string{"consumer"}, "tasks": []string{"q"}, "agent": "fedmq/1"}
	f.must("acme/a/gw/_fl_v1/state", state)
	if v, _ := f.Since(0); len(v.Sites) != 0 || len(v.Consumers) != 0 {
		t.Fatalf("%+v, %+v", v.Sites, v.Consumers)
	}
	f.must("acme/a/gw/_fl_v1/q/status", object{"schema": "fedmq.consumer.v1", "timestamp_ms": f.at})
	f.must("acme/b/gw/_fl_v1/q/status", object{
		"schema": "fedmq.consumer.v1", "timestamp_ms": f.at, "version": 2, "from": "released",
		"failed": object{"version": 3, "why": "exit status 7", "times": 2},
	})
	v, _ := f.Since(0)
	if len(v.Sites) != 0 || len(v.Consumers) != 2 {
		t.Fatalf("%+v, %+v", v.Sites, v.Consumers)
	}
	if a := v.Consumers[0]; a.Path != "a/gw" || a.Version != nil || !a.Online || a.Agent != "fedmq/1" {
		t.Errorf("%+v", a)
	}
	if b := v.Consumers[1]; b.Path != "b/gw" || *b.Version != 2 || b.From != "released" || *b.Failed != (FailedView{3, "exit status 7", 2}) || b.Online {
		t.Errorf("%+v", b)
	}
	f.must("acme/b/gw/_fl_v1/q/status", object{
		"schema": "fedmq.consumer.v1", "timestamp_ms": f.at + 3_600_000, "version": 2, "from": "released", // its clock is an hour ahead
		"tries":  object{"version": 3, "from": "released", "since_ms": f.at + 3_590_000},
		"failed": object{"version": 3, "why": "exit status 7", "times": 2},
	})
	v, _ = f.Since(0)
	if b := v.Consumers[1]; b.Tries == nil || *b.Tries != (TriesView{3, v.NowMS - 10_000}) || b.Failed == nil {
		t.Errorf("%+v tries %+v at %d", b, b.Tries, v.NowMS)
	}
	f.must("acme/b/gw/_fl_v1/q/status", object{"schema": "fedmq.consumer.v1", "timestamp_ms": f.at, "version": 3, "from": "released"})
	v, _ = f.Since(0)
	if b := v.Consumers[1]; b.Tries != nil || b.Failed != nil {
		t.Errorf("%+v tries %+v", b, b.Tries)
	}
	seq := v.Seq
	state["online"] = false
	f.must("acme/a/gw/_fl_v1/state", state)
	if v, _ = f.Since(seq); v.Full || len(v.Consumers) != 1 || v.Consumers[0].Online {
		t.Errorf("%+v", v.Consumers)
	}
	f.must("acme/a/gw/_fl_v1/q/status", []byte{})
	if v, _ = f.Since(seq); !v.Full || len(v.Consumers) != 1 || v.Consumers[0].Path != "b/gw" || v.Ignored != 0 {
		t.Errorf("%+v, %d ignored", v.Consumers, v.Ignored)
	}
}
