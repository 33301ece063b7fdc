package verdict_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/fedmq/fedmq/internal/verdict"
)

// The protocol's two lists, spelled as it spells them.
var (
	unauthenticated = []string{"malformed", "too_large", "unknown_member", "bad_signature", "wrong_topic", "future_round", "other_origin"}
	authenticated   = []string{
		"stale_round", "wrong_base", "schema_mismatch", "contract_mismatch", "unsupported", "not_finite", "out_of_range",
		"norm_outlier", "conflict", "not_in_cohort", "old_counter", "budget_exhausted",
	}
	outcomes = []string{"counted", "declined", "missing", "lost", "not_due", "kept", "lapsed"}
)

func TestListsAreClosed(t *testing.T) {
	t.Parallel()
	check := func(names []string, refusal, auth bool) {
		for _, s := range names {
			r, ok := verdict.Parse(s)
			if !ok || r.String() != s {
				t.Errorf("Parse(%q) = %v, %v", s, r, ok)
			}
			if r.Refusal() != refusal || r.Authenticated() != auth {
				t.Errorf("%s: refusal %v, authenticated %v; want %v, %v", s, r.Refusal(), r.Authenticated(), refusal, auth)
			}
		}
	}
	check(unauthenticated, true, false)
	check(authenticated, true, true)
	check(outcomes, false, false)
	if got, want := len(verdict.All()), len(unauthenticated)+len(authenticated)+len(outcomes); got != want {
		t.Errorf("%d reasons, the spec lists %d", got, want)
	}
	for _, s := range []string{"", "Counted", "none", "counted "} {
		if r, ok := verdict.Parse(s); ok {
			t.Errorf("Parse(%q) = %v, want none", s, r)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, r := range append(verdict.All(), verdict.None) {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back verdict.Reason
		if err := json.Unmarshal(b, &back); err != nil || back != r {
			t.Errorf("%v: %s came back as %v, %v", r, b, back, err)
		}
	}
	var r verdict.Reason
	if err := json.Unmarshal([]byte(`"nonsense"`), &r); err == nil {
		t.Error("an unknown spelling was read")
	}
	if _, err := verdict.Reason(200).MarshalText(); err == nil {
		t.Error("an unknown reason was written")
	}
	if got := verdict.Reason(200).String(); got != "verdict(200)" {
		t.Errorf("String() = %q", got)
	}
}

func ExampleReason_Authenticated() {
	fmt.Println(verdict.Conflict.Authenticated(), verdict.UnknownMember.Authenticated())
	// Output: true false
}
