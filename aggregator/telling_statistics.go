package aggregator

import (
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/pipeline"
)

// maxStatistics bounds the retained JSON.
const maxStatistics = 15 << 10

// publishStatistics has what a survey has gathered on the broker, anew with each round and
// each connection.
func (t *task) publishStatistics() {
	if t.cfg.Survey == nil || !t.statisticsDue || t.state.Version == 0 {
		return
	}
	t.statisticsDue = false
	v := view.Statistics{Schema: view.StatisticsSchema, TimestampMS: t.a.nowMS(), Task: t.cfg.Name, Version: t.state.Version}
	names, units := columnsOf(t.cfg.Contract)
	var err error
	if v.Levels, v.Columns, err = view.Columns(t.base, names, units, t.pathOf); err != nil {
		t.log.Error().Err(err).Msg("the statistics cannot be published")
		return
	}
	t.a.post(link.Message{Topic: t.topics.Statistics(), QoS: 1, Retained: true, Payload: view.JSON(v.Within(maxStatistics))})
}

// pathOf is the path of a member, "" of one that an older copy of the disk does not know.
func (t *task) pathOf(index uint32) string {
	if uint64(index) >= uint64(t.m.Round().Welcomed()) { // both are 0 or more
		return ""
	}
	return t.m.Round().Path(index)
}

// columnsOf are the names and units of a survey's columns, which are its inputs.
func columnsOf(c *pipeline.Contract) (names, units []string) {
	for _, in := range c.Inputs {
		names, units = append(names, in.Name), append(units, in.Unit)
	}
	return names, units
}
