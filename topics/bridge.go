package topics

// Crossing is what a bridge carries, one way, between the broker of members and
// the broker of their aggregator: what Filter matches, under the same topic.
type Crossing struct {
	Filter string
	Out    bool // from the members to the aggregator
	QoS    byte
}

// What crosses a bridge (T-17), below a member's marker and task, and below the
// owner's.
var (
	memberCrosses = []Kind{Join, Update, Part, Need, Status}
	ownerCrosses  = []struct {
		leaf string
		qos  byte
	}{
		{"order", 1}, {"model", 1}, {"model_at", 1}, {"model/+/+", 1}, {"released", 1}, {"released/+/+", 1}, {"canary", 1}, {"canary/+/+", 1}, {"record", 1}, {"round", 1}, {"kpi/+", 1}, {"history", 1}, {"statistics", 1}, {"event", 0},
	}
)

// Bridge returns what a bridge carries for the members of a task, "+" for all
// tasks, that a node owns, and for the nodes that use what is released (T-17). Commands do
// not cross. An owner that is not in the grammar gets nothing.
func (n Namespace) Bridge(owner, task string, members, consumers []MemberFilter) (list []Crossing) {
	if n.checkNode(owner) != nil || task != "+" && CheckTask(task) != nil {
		return nil
	}
	own := n.Node(owner) + "/" + Marker + "/"
	for _, root := range n.roots {
		bulk := n.below(root, owner) + "/" + Marker + "/" + task
		for _, leaf := range []string{"/model", "/model/+/+", "/released", "/released/+/+", "/canary", "/canary/+/+"} {
			list = append(list, Crossing{Filter: bulk + leaf, QoS: 1})
		}
	}
	list = append(list, Crossing{Filter: own + leafState, QoS: 1})
	for _, o := range ownerCrosses {
		list = append(list, Crossing{Filter: own + task + "/" + o.leaf, QoS: o.qos})
	}
	for _, f := range members {
		if f.s == "" {
			continue
		}
		list = append(list, Crossing{Filter: own + task + "/reply/" + f.s, QoS: 1})
		list = append(list, Crossing{Filter: n.MemberFilterTopic(f, task, State), Out: true, QoS: 1})
		for _, k := range memberCrosses {
			for _, filter := range n.MemberFilterTopics(f, task, k) {
				list = append(list, Crossing{Filter: filter, Out: true, QoS: 1})
			}
		}
	}
	for _, f := range consumers {
		if f.s == "" {
			continue
		}
		for _, k := range []Kind{State, Status} {
			list = append(list, Crossing{Filter: n.MemberFilterTopic(f, task, k), Out: true, QoS: 1})
		}
	}
	return list
}
