package trainer

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// telling is a trainer that tells what it is given.
type telling map[string]float64

func (telling) Samples() int { return 1 }
func (telling) Train(context.Context, Job, *model.Model) (*model.Model, error) {
	return nil, errors.New("no")
}
func (telling) Capabilities() []string        { return []string{NeedSteps, NeedMu, NeedSteps} }
func (t telling) Scalars() map[string]float64 { return t }

func TestCapabilities(t *testing.T) {
	t.Parallel()
	can := CapabilitiesOf(telling{})
	if !slices.Equal(can, []string{NeedMu, NeedSteps}) {
		t.Errorf("%v", can)
	}
	if no := Lacking(can, []string{NeedLoss0, NeedMu}); !slices.Equal(no, []string{NeedLoss0}) {
		t.Errorf("lacks %v", no)
	}
	if !slices.IsSorted(Needs()) {
		t.Error("not in order")
	}
}

// What a trainer tells is held to what it can be, by name.
func TestScalarsOf(t *testing.T) {
	t.Parallel()
	good := telling{"steps": 5, "lr": 0.1, "momentum": 0, "loss0": 2, "other": 9}
	with := func(name string, v float64) telling {
		c := telling{}
		for k, x := range good {
			c[k] = x
		}
		if c[name] = v; math.IsNaN(v) && name == "lr" {
			delete(c, name)
		}
		return c
	}
	for _, c := range []struct {
		told  telling
		needs []string
		want  string
	}{
		{good, []string{NeedLoss0, NeedSGD, NeedSteps}, ""},
		{nil, []string{NeedMu}, ""},
		{with("steps", 0), []string{NeedSteps}, "steps is 0, want a finite number, a whole number from 1"},
		{with("steps", 1.5), []string{NeedSteps}, "steps is 1.5"},
		{with("lr", math.NaN()), []string{NeedSteps}, "lr is missing"},
		{with("lr", math.Inf(1)), []string{NeedSteps}, "lr is +Inf"},
		{with("momentum", 1), []string{NeedSteps}, "momentum is 1"},
		{with("loss0", math.NaN()), []string{NeedLoss0}, "loss0 is NaN"},
		{with("loss0", -1), []string{NeedLoss0}, "loss0 is -1"},
		{with("momentum", 0.5), []string{NeedSGD, NeedSteps}, "plain SGD, not momentum 0.5"},
		{with("momentum", 0.5), []string{NeedMomentum, NeedSteps}, ""},
	} {
		got, err := Job{Needs: c.needs}.ScalarsOf(c.told)
		if c.want == "" && (err != nil || got["other"] != 0) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v of %v: %v, %v, want %q", c.needs, c.told, got, err, c.want)
		}
	}
}
