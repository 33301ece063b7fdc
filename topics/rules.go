package topics

import (
	"fmt"
	"slices"
)

// Role is what a party does.
type Role uint8

// The roles. The zero Role may do nothing.
const (
	RoleAggregator Role = iota + 1
	RoleSite
	RoleOperator
	RoleWatcher
	RoleConsumer // uses what is released: a gateway
)

var roleNames = [...]string{RoleAggregator: "aggregator", RoleSite: "site", RoleOperator: "operator", RoleWatcher: "watcher", RoleConsumer: "consumer"}

// String returns "aggregator", "site", "operator", "watcher" or "consumer".
func (r Role) String() string {
	if r == 0 || int(r) >= len(roleNames) {
		return fmt.Sprintf("role(%d)", uint8(r))
	}
	return roleNames[r]
}

// ParseRole is the inverse of [Role.String].
func ParseRole(s string) (Role, error) {
	if r := slices.Index(roleNames[:], s); r > 0 {
		return Role(r), nil
	}
	return 0, refuse("role", s, "aggregator, site, operator, watcher or consumer")
}

// Party is who asks for access. An area, aggregator below and site above,
// has the rules of two parties.
type Party struct {
	Role      Role
	Path      string         // site, consumer: the path of its node; not used otherwise
	Owner     string         // path of the node that owns the tasks, "" = the namespace; an aggregator's own node
	Members   []MemberFilter // aggregator, operator, watcher: whose topics it reads; empty for the last two = any member
	Consumers []MemberFilter // likewise: of which consumers it reads the status; those that Members match need no mention
}

// Rule allows one party to write or to read what Filter contains (see
// [Contains]). What no rule allows is denied.
type Rule struct {
	Write  bool // publish, and a Last Will; else subscribe and receive
	Filter string
}

// Below the owner's marker, what each role reads (T-15).
var (
	aggregatorReads = []string{
		"+/command", "state", "roster", "+/order", "+/model", "+/model/+/+", "+/record", "+/released", "+/released/+/+", "+/canary", "+/canary/+/+", "+/secagg/#",
	}
	siteReads = []string{
		"state", "roster", "roster/+/+", "+/order", "+/round", "+/record", "+/receipts",
		"+/model", "+/model/+/+", "+/released", "+/released/+/+", "+/canary", "+/canary/+/+",
	}
	consumerReads = []string{"+/released", "+/released/+/+", "+/canary", "+/canary/+/+"}
	watcherReads  = []string{"state", "+/round", "+/kpi/#", "+/event", "+/record", "+/history", "+/statistics", "+/model_at"}

	// Below a root of bulk.
	aggregatorBulk = []string{"+/model", "+/model/+/+", "+/released", "+/released/+/+", "+/canary", "+/canary/+/+"}
	siteBulk       = aggregatorBulk
	consumerBulk   = consumerReads
)

// Rules returns what the party may write and read: the access control list of
// the embedded broker, and what is rendered for others. Every party that
// speaks writes below its own node only, so it has one write rule, and one more
// for each root of bulk. A party
// whose path or owner is not in the grammar gets none.
func (n Namespace) Rules(p Party) []Rule {
	p.Members, p.Consumers = once(p.Members), once(p.Consumers)
	if n.checkNode(p.Owner) != nil {
		return nil
	}
	own := n.Node(p.Owner) + "/" + Marker + "/"
	switch p.Role {
	case RoleAggregator:
		rules := n.aggregatorRules("", p, aggregatorReads)
		for _, f := range p.Consumers {
			if f.s != "" {
				rules = append(rules, reads(n.Node(f.s)+"/"+Marker+"/", "+/status")...)
			}
		}
		for _, root := range n.roots {
			rules = append(rules, n.aggregatorRules(root, p, aggregatorBulk)...)
		}
		return rules
	case RoleConsumer:
		return n.consumerRules(p.Path, p.Owner)
	case RoleSite:
		return n.siteRules(p.Path, p.Owner)
	case RoleOperator:
		return append([]Rule{{Write: true, Filter: own + "+/command"}}, n.watcherRules(p, own)...)
	case RoleWatcher:
		return n.watcherRules(p, own)
	}
	return nil
}

// aggregatorRules are those below the namespace, or below a root of bulk.
func (n Namespace) aggregatorRules(root string, p Party, below []string) []Rule {
	own := n.below(root, p.Owner) + "/" + Marker + "/"
	rules := append([]Rule{{Write: true, Filter: own + "#"}}, reads(own, below...)...)
	for _, f := range p.Members {
		if f.s != "" {
			rules = append(rules, Rule{Filter: n.below(root, f.s) + "/" + Marker + "/#"})
		}
	}
	return rules
}

func (n Namespace) siteRules(path, owner string) []Rule {
	if n.checkMember(path) != nil {
		return nil
	}
	own := n.Node(owner) + "/" + Marker + "/"
	rules := append([]Rule{{Write: true, Filter: n.Node(path) + "/" + Marker + "/#"}}, reads(own, siteReads...)...)
	rules = append(rules, reads(own, "+/reply/"+path, "+/secagg/"+phaseInbox+"/"+path)...)
	for _, phase := range ownerPhases {
		rules = append(rules, reads(own, "+/secagg/"+phase, "+/secagg/"+phase+"/+/+")...)
	}
	for _, root := range n.roots {
		rules = append(rules, Rule{Write: true, Filter: n.below(root, path) + "/" + Marker + "/#"})
		rules = append(rules, reads(n.below(root, owner)+"/"+Marker+"/", siteBulk...)...)
	}
	return rules
}

// consumerRules let it say what it runs, and nothing else that a member may: its presence
// it reads as well, to see whether the node is another's.
func (n Namespace) consumerRules(path, owner string) []Rule {
	if n.checkMember(path) != nil {
		return nil
	}
	self := n.Node(path) + "/" + Marker + "/"
	rules := append([]Rule{{Write: true, Filter: self + leafState}, {Write: true, Filter: self + "+/status"}}, reads(self, leafState)...)
	rules = append(rules, reads(n.Node(owner)+"/"+Marker+"/", consumerReads...)...)
	for _, root := range n.roots {
		rules = append(rules, reads(n.below(root, owner)+"/"+Marker+"/", consumerBulk...)...)
	}
	return rules
}

// once leaves each filter in the list once.
func once(list []MemberFilter) (each []MemberFilter) {
	for _, f := range list {
		if !slices.Contains(each, f) {
			each = append(each, f)
		}
	}
	return each
}

// watcherRules reads the JSON topics of the owner and of its members; without
// member filters, of members at every depth.
func (n Namespace) watcherRules(p Party, own string) []Rule {
	rules := reads(own, watcherReads...)
	filters := anyMember[:]
	if len(p.Members) > 0 {
		filters = once(slices.Concat(p.Members, p.Consumers))
	}
	for _, f := range filters {
		if f.s != "" {
			rules = append(rules, reads(n.Node(f.s)+"/"+Marker+"/", leafState, "+/status")...)
		}
	}
	return rules
}

var anyMember = [MaxDepth]MemberFilter{{"+"}, {"+/+"}, {"+/+/+"}, {"+/+/+/+"}, {"+/+/+/+/+"}}

func reads(prefix string, filters ...string) []Rule {
	rules := make([]Rule, len(filters))
	for i, f := range filters {
		rules[i] = Rule{Filter: prefix + f}
	}
	return rules
}
