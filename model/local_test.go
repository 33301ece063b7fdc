package model

import (
	"slices"
	"testing"
)

// A star is any run of characters; all else is itself.
func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*bn*", "layer1.0.bn2.weight", true},
		{"*bn*", "layer1.norm", false},
		{"head.*", "head.bias", true},
		{"head.*", "my.head.bias", false},
		{"*.bias", "head.bias", true},
		{"head.bias", "head.bias", true},
		{"head.bia", "head.bias", false},
		{"a*b*a", "aba", true},
		{"a*b*a", "ab", false},
		{"aa*aa", "aaa", false},
		{"*", "", true},
		{"**x**", "x", true},
		{"a?", "ab", false},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%s of %s: %v", c.pattern, c.name, got)
		}
	}
}

// What is kept: the patterns of keep win, and without share all else is shared.
func TestLocals(t *testing.T) {
	t.Parallel()
	s, err := NewSchema(Spec{Name: "body.bn.weight"}, Spec{Name: "body.weight"}, Spec{Name: "head.weight"}, Spec{Name: ZMeanName, DType: F64, Rule: Keep})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		l    Locals
		own  []string
		idle []string
	}{
		{Locals{}, nil, nil},
		{Locals{Keep: []string{"*bn*", "*norm*"}}, []string{"body.bn.weight"}, []string{"*norm*"}},
		{Locals{Share: []string{"body.*"}}, []string{"head.weight"}, nil},
		{Locals{Keep: []string{"fedmq.*"}}, nil, []string{"fedmq.*"}},
		{Locals{Share: []string{"body.*"}, Keep: []string{"*bn*"}}, []string{"body.bn.weight", "head.weight"}, nil},
	} {
		own := c.l.Names(s)
		if !slices.Equal(own, c.own) || !slices.Equal(c.l.Idle(s), c.idle) || len(c.l.Apply(s).Shared()) != 3-len(own) || s.Shared()[0].Rule != Mean {
			t.Errorf("%+v: own %v, idle %v", c.l, own, c.l.Idle(s))
		}
	}
}
