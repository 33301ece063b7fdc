package wire

import (
	"errors"
	"strings"
	"testing"
)

// Below a root of bulk a message is opened where its receiver has that root, and its
// sender is still who the path says: a root changes where, not who (step 5, T-21).
func TestOpenBulk(t *testing.T) {
	t.Parallel()
	body := encode(t, testUpdate(t))
	for name, c := range map[string]struct {
		topic, sender string
		roots         []string
		want          string
	}{
		"in the tree":             {topic: upTopic, sender: siteNode, roots: []string{"heavy"}},
		"below the root":          {topic: "heavy" + strings.TrimPrefix(upTopic, "acme"), sender: siteNode, roots: []string{"other", "heavy"}},
		"below no root of ours":   {topic: "heavy" + strings.TrimPrefix(upTopic, "acme"), sender: siteNode, want: ReasonWrongTopic},
		"below another root":      {topic: "heavy" + strings.TrimPrefix(upTopic, "acme"), sender: siteNode, roots: []string{"other"}, want: ReasonWrongTopic},
		"as somebody of one name": {topic: "heavy" + strings.TrimPrefix(upTopic, "acme"), sender: "acme/paris/line-1", roots: []string{"heavy"}, want: ReasonWrongTopic},
		"as of the root":          {topic: "heavy" + strings.TrimPrefix(upTopic, "acme"), sender: "heavy" + strings.TrimPrefix(siteNode, "acme"), roots: []string{"heavy"}, want: ReasonWrongTopic},
	} {
		ns, err := testNamespace(t).WithBulk(c.roots...)
		if err != nil {
			t.Fatal(err)
		}
		h := header(t, KindUpdate)
		h.Topic, h.Sender = c.topic, c.sender
		b := seal(t, h, body, nil)
		_, _, err = (&Opener{NS: ns}).Open(c.topic, b, Bound{})
		got := ""
		if r, ok := errors.AsType[*Refusal](err); ok {
			got = r.Reason
		}
		if got != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	h := header(t, KindJoin)
	h.Topic = strings.Replace(joinTopic, "acme", "heavy", 1)
	if _, err := Seal(h, encode(t, testJoin(t)), nil); err == nil {
		t.Error("a join below a root was sealed")
	}
}
