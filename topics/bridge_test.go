package topics_test

import (
	"slices"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// The list of T-17 in full.
func TestBridge(t *testing.T) {
	t.Parallel()
	var got []string
	for _, x := range namespace(t, "acme").Bridge("hq", "quality", filters(t, "berlin/+"), filters(t, "berlin/+/gw")) {
		way := map[bool]string{true: "out", false: "in"}[x.Out]
		got = append(got, way+" "+string('0'+x.QoS)+" "+x.Filter)
	}
	want := []string{
		"in 1 acme/hq/_fl_v1/state",
		"in 1 acme/hq/_fl_v1/quality/order",
		"in 1 acme/hq/_fl_v1/quality/model",
		"in 1 acme/hq/_fl_v1/quality/model_at",
		"in 1 acme/hq/_fl_v1/quality/model/+/+",
		"in 1 acme/hq/_fl_v1/quality/released",
		"in 1 acme/hq/_fl_v1/quality/released/+/+",
		"in 1 acme/hq/_fl_v1/quality/canary",
		"in 1 acme/hq/_fl_v1/quality/canary/+/+",
		"in 1 acme/hq/_fl_v1/quality/record",
		"in 1 acme/hq/_fl_v1/quality/round",
		"in 1 acme/hq/_fl_v1/quality/kpi/+",
		"in 1 acme/hq/_fl_v1/quality/history", "in 1 acme/hq/_fl_v1/quality/statistics",
		"in 0 acme/hq/_fl_v1/quality/event",
		"in 1 acme/hq/_fl_v1/quality/reply/berlin/+",
		"out 1 acme/berlin/+/_fl_v1/state",
		"out 1 acme/berlin/+/_fl_v1/quality/join",
		"out 1 acme/berlin/+/_fl_v1/quality/update",
		"out 1 acme/berlin/+/_fl_v1/quality/part",
		"out 1 acme/berlin/+/_fl_v1/quality/need",
		"out 1 acme/berlin/+/_fl_v1/quality/status",
		"out 1 acme/berlin/+/gw/_fl_v1/state",
		"out 1 acme/berlin/+/gw/_fl_v1/quality/status",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// Nothing crosses both ways: what goes out is of members, what comes in of the
// owner, and each party may write what it sends across.
func TestBridgeIsOneWay(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "umh/v1/acme")
	members := filters(t, "+/line-1", "hall-9")
	list := ns.Bridge("", "+", members, nil)
	for _, x := range list {
		for _, y := range list {
			if x.Out != y.Out && (topics.Contains(x.Filter, y.Filter) || topics.Contains(y.Filter, x.Filter)) {
				t.Errorf("%s goes one way, %s the other", x.Filter, y.Filter)
			}
		}
		if !x.Out && !topics.Contains("umh/v1/acme/_fl_v1/#", x.Filter) {
			t.Errorf("%s comes in, and is not the owner's", x.Filter)
		}
		if topics.Contains(x.Filter, "umh/v1/acme/_fl_v1/quality/command") {
			t.Errorf("%s lets commands across", x.Filter)
		}
	}
	if ns.Bridge("a//b", "+", members, nil) != nil || ns.Bridge("", "state", members, nil) != nil {
		t.Error("an owner or a task outside of the grammar has a bridge")
	}
}
