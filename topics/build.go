package topics

import (
	"strconv"
	"strings"
)

// Topic is a topic taken apart. Fields that its Kind does not use are zero:
// Build refuses anything else, so that a Topic and its string are one to one.
type Topic struct {
	Bulk   string // root of bulk that stands for the namespace, "" = none (T-21)
	Path   string // node below the namespace, "" = the namespace itself
	Task   string // "" for State, Roster and RosterPart
	Kind   Kind
	Name   string // KPI: its name
	Member string // Reply, and SecAgg with phase inbox: the member path addressed
	Phase  string // SecAgg, SecAggPart
	Slot   int    // RosterPart, ModelPart, ReleasedPart, CanaryPart, SecAggPart: 0..7
	Part   int    // likewise: 0..3999
}

// Build returns the topic's string, or an error that wraps [ErrTopic].
func (n Namespace) Build(t Topic) (string, error) {
	if err := n.check(t); err != nil {
		return "", err
	}
	in := t.Kind.info()
	var b strings.Builder
	b.Grow(len(n.prefix) + len(t.Path) + len(t.Task) + len(t.Member) + len(t.Name) + 48)
	b.WriteString(n.below(t.Bulk, t.Path))
	add(&b, Marker)
	if !in.taskless {
		add(&b, t.Task)
	}
	add(&b, in.leaf)
	switch in.form {
	case plain:
	case named:
		add(&b, t.Name)
	case replying:
		add(&b, t.Member)
	case phased:
		add(&b, t.Phase)
		if t.Member != "" {
			add(&b, t.Member)
		}
	case phasedIn:
		add(&b, t.Phase)
		addPart(&b, t.Slot, t.Part)
	case parts:
		addPart(&b, t.Slot, t.Part)
	}
	return b.String(), nil
}

func add(b *strings.Builder, level string) {
	b.WriteByte('/')
	b.WriteString(level)
}

func addPart(b *strings.Builder, slot, part int) {
	add(b, strconv.Itoa(slot))
	add(b, strconv.Itoa(part))
}

// check reports why t is not a topic of the namespace.
func (n Namespace) check(t Topic) error {
	in := t.Kind.info()
	if in.leaf == "" {
		return refuse("kind", strconv.Itoa(int(t.Kind)), "one of the constants")
	}
	if err := n.checkNode(t.Path); err != nil {
		return err
	}
	if err := n.checkBulk(t.Bulk, t.Path); err != nil {
		return err
	}
	if t.Bulk != "" && !in.bulk {
		return refuse("bulk", t.Bulk, "none for "+in.leaf)
	}
	if in.taskless {
		if t.Task != "" {
			return refuse("task", t.Task, "none for "+in.leaf)
		}
	} else if err := CheckTask(t.Task); err != nil {
		return err
	}
	if in.member && t.Path == "" {
		return refuse("path", t.Path, "a member's for "+in.leaf)
	}
	return n.checkRest(t, in.form)
}

// checkRest checks the fields that follow the leaf, by form, and that no
// other field is set.
func (n Namespace) checkRest(t Topic, f form) error {
	used := Topic{Bulk: t.Bulk, Path: t.Path, Task: t.Task, Kind: t.Kind}
	var err error
	switch f {
	case plain:
	case parts:
		used.Slot, used.Part = t.Slot, t.Part
		err = checkPart(t.Slot, t.Part)
	case named:
		used.Name = t.Name
		err = CheckName(t.Name)
	case replying:
		used.Member = t.Member
		err = n.checkMember(t.Member)
	case phased:
		used.Phase, used.Member = t.Phase, t.Member
		err = n.checkPhase(t)
	case phasedIn:
		used.Phase, used.Slot, used.Part = t.Phase, t.Slot, t.Part
		if err = checkPart(t.Slot, t.Part); !ownerPhase(t.Phase) {
			err = refuse("phase", t.Phase, "peers, survivors or acks")
		}
	}
	if err == nil && t != used {
		return refuse("topic", t.Kind.String(), "only the fields of its kind")
	}
	return err
}

func (n Namespace) checkPhase(t Topic) error {
	switch {
	case t.Phase == phaseInbox:
		return n.checkMember(t.Member)
	case t.Member != "":
		return refuse("member", t.Member, "none but for inbox")
	case ownerPhase(t.Phase), memberPhase(t.Phase) && t.Path != "":
		return nil
	}
	return refuse("phase", t.Phase, "a phase of the node's side of secure aggregation")
}

func checkPart(slot, part int) error {
	if slot < 0 || slot >= MaxSlots {
		return refuse("slot", strconv.Itoa(slot), "0..7")
	}
	if part < 0 || part >= MaxParts {
		return refuse("part", strconv.Itoa(part), "0..3999")
	}
	return nil
}
