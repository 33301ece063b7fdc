package round

import (
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// TestAdopt: a task goes on above what was seen, with the members of its disk.
func TestAdopt(t *testing.T) {
	base, rec := model.Hash{2}, model.Hash{3}
	disk := State{
		Epoch: 4, Round: 7, Attempt: 3, Phase: Open, Base: model.Hash{1}, Version: 6, ValidFrom: 2,
		Params: &Params{Work: wire.WorkTrain}, Cohort: []uint32{0, 1}, Abandons: 2, RefusalAbandons: 1, Commands: []string{"c1"},
	}
	save := disk.Adopt([]Member{{Path: "a"}, {Path: "b", Silent: 2}}, 9, 12, base, rec)
	s := save.State
	if s.Epoch != 9 || s.Round != 13 || s.Attempt != 0 || s.Phase != Idle || s.Base != base || s.Version != 12 || s.Record != rec {
		t.Errorf("state is %+v", s)
	}
	if s.ValidFrom != 1 || s.Params != nil || s.Cohort != nil || s.Abandons+s.RefusalAbandons != 0 || len(s.Commands) != 1 {
		t.Errorf("of the round of the disk is left: %+v", s)
	}
	if !save.DropJournal || len(save.Members) != 1 || save.Members[0].Index != 1 || save.Members[0].Member.Silent != 0 {
		t.Errorf("to be saved is %+v", save)
	}
	if low := disk.Adopt(nil, 1, 12, base, rec).State; low.Epoch != 4 {
		t.Errorf("the epoch fell to %d", low.Epoch)
	}
	if disk.Round != 7 || disk.Params == nil {
		t.Errorf("the state of the disk has changed: %+v", disk)
	}
}
