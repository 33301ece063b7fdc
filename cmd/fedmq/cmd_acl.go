package main

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/fedmq/fedmq/topics"
)

type aclCmd struct {
	For      string   `required:"" enum:"mosquitto,hivemq,emqx,rabbitmq" placeholder:"BROKER" help:"Form of the list: mosquitto, hivemq, emqx or rabbitmq."`
	Config   string   `short:"c" required:"" type:"existingfile" placeholder:"FILE" help:"Configuration file (YAML) of the aggregator: its namespace, owner, user and members."`
	Member   []string `short:"m" placeholder:"PATH" help:"Path of a site, which is its user name too; may be repeated. Default: the members of the configuration that have no +."`
	Consumer []string `placeholder:"PATH" help:"Path of a node that uses what is released, which is its user name too; may be repeated. Default: the consumers of the configuration that have no +."`
}

func (aclCmd) Help() string {
	return `Prints who may write and read what, as the configuration of a broker. The user name of a
site, and of a consumer, is its path; operator and screen are users of those names.

  fedmq acl --for mosquitto -c aggregator.yaml -m berlin/line-1 -m munich/line-1 >acl

More: docs/howto/existing-broker.md.`
}

// granted is a user with what it may do.
type granted struct {
	user  string
	rules []topics.Rule
}

func (c *aclCmd) Run() error {
	var f aggregatorFile
	if err := loadYAML(c.Config, &f); err != nil {
		return usageError{err}
	}
	users, err := c.users(f)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", c.Config, err)}
	}
	for _, u := range users {
		if err := sayable(c.For, u); err != nil {
			return usageError{fmt.Errorf("%s: %w", c.Config, err)}
		}
	}
	switch c.For {
	case "hivemq":
		return hivemqList(stdout, users)
	case "emqx":
		emqxList(stdout, users)
	case "rabbitmq":
		rabbitmqList(stdout, users)
	default:
		mosquittoList(stdout, users)
	}
	return nil
}

// users are the parties of a configuration, the aggregator first.
func (c *aclCmd) users(f aggregatorFile) ([]granted, error) {
	ns, err := topics.Configured(f.Connection.Namespace, f.Bulk)
	if err != nil {
		return nil, err
	}
	var members, uses []string
	for _, t := range f.Tasks {
		members, uses = append(members, t.Members...), append(uses, t.Consumers...)
	}
	filters, err := memberFilters(members)
	if err != nil {
		return nil, err
	}
	consumers, err := memberFilters(uses)
	if err != nil {
		return nil, err
	}
	sites, err := pathsOf(members, c.Member, "members: %s names no site: name each with --member, as berlin/line-1")
	if err != nil {
		return nil, err
	}
	gateways, err := pathsOf(uses, c.Consumer, "consumers: %s names no node: name each with --consumer, as berlin/line-1/scoring")
	if err != nil {
		return nil, err
	}
	if len(sites) == 0 {
		return nil, errors.New("no members")
	}
	var out []granted
	add := func(user string, p topics.Party) { out = append(out, granted{user, ns.Rules(p)}) }
	add(cmp.Or(f.Connection.Username, "aggregator"), topics.Party{Role: topics.RoleAggregator, Owner: f.Owner, Members: filters, Consumers: consumers})
	add("operator", topics.Party{Role: topics.RoleOperator, Owner: f.Owner, Members: filters, Consumers: consumers})
	add("screen", topics.Party{Role: topics.RoleWatcher, Owner: f.Owner, Members: filters, Consumers: consumers})
	for _, s := range sites {
		if err := topics.CheckPath(s); err != nil {
			return nil, fmt.Errorf("member: %w", err)
		}
		add(s, topics.Party{Role: topics.RoleSite, Path: s, Owner: f.Owner})
	}
	for _, g := range gateways {
		if err := topics.CheckPath(g); err != nil {
			return nil, fmt.Errorf("consumer: %w", err)
		}
		if slices.Contains(sites, g) {
			return nil, fmt.Errorf("consumer: %s is a member: one node is one process, so a consumer wants a path of its own, such as %s/scoring", g, g)
		}
		add(g, topics.Party{Role: topics.RoleConsumer, Path: g, Owner: f.Owner})
	}
	return out, nil
}

// pathsOf are the paths that were given or, where none was, those that filters are.
func pathsOf(filters, given []string, want string) (paths []string, err error) {
	if len(given) > 0 {
		return given, nil
	}
	for _, f := range filters {
		if strings.Contains(f, "+") {
			return nil, fmt.Errorf(want, f)
		}
		paths = append(paths, f)
	}
	return paths, nil
}

// sayable refuses a name that the list of a broker has no way to say, or that means
// something else there.
func sayable(broker string, u granted) error {
	for _, r := range u.rules {
		switch {
		case (broker == "hivemq" || broker == "emqx") && strings.Contains(r.Filter, "${"):
			return fmt.Errorf("%q: this broker takes ${ for a variable: want other names", r.Filter)
		case broker == "emqx" && strings.HasPrefix(r.Filter, "eq "):
			return fmt.Errorf("%q: EMQX takes eq at the beginning for a word of its own: want another namespace", r.Filter)
		case broker == "rabbitmq" && strings.ContainsAny(r.Filter, ".*"):
			return fmt.Errorf("%q: RabbitMQ delivers . as / and * as +: want names without", r.Filter)
		}
	}
	return nil
}

// mosquittoList writes an acl_file. User and topic go to the end of their lines, blanks
// and all.
func mosquittoList(w io.Writer, users []granted) {
	for i, u := range users {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "user %s\n", u.user)
		for _, r := range u.rules {
			fmt.Fprintf(w, "topic %s %s\n", map[bool]string{true: "write", false: "read"}[r.Write], r.Filter)
		}
	}
}

// hivemqRole is a role of HiveMQ's file RBAC extension.
type hivemqRole struct {
	ID          string             `xml:"id"`
	Permissions []hivemqPermission `xml:"permissions>permission"`
}

type hivemqPermission struct {
	Topic    string `xml:"topic"`
	Activity string `xml:"activity"`
}

// hivemqRoles is the part of its credentials.xml that is made here; users and passwords
// are added to it.
type hivemqRoles struct {
	XMLName xml.Name     `xml:"roles"`
	Roles   []hivemqRole `xml:"role"`
}

func hivemqList(w io.Writer, users []granted) error {
	var list hivemqRoles
	for _, u := range users {
		role := hivemqRole{ID: u.user}
		for _, r := range u.rules {
			role.Permissions = append(role.Permissions, hivemqPermission{r.Filter, map[bool]string{true: "PUBLISH", false: "SUBSCRIBE"}[r.Write]})
		}
		list.Roles = append(list.Roles, role)
	}
	b, err := xml.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// emqxList writes an acl.conf, whose last line denies the rest.
func emqxList(w io.Writer, users []granted) {
	for _, u := range users {
		for _, write := range []bool{true, false} {
			var list []string
			for _, r := range u.rules {
				if r.Write == write {
					list = append(list, erlang(r.Filter))
				}
			}
			if len(list) > 0 {
				fmt.Fprintf(w, "{allow, {user, %s}, %s, [%s]}.\n", erlang(u.user), map[bool]string{true: "publish", false: "subscribe"}[write], strings.Join(list, ", "))
			}
		}
	}
	fmt.Fprintln(w, "{deny, all}.")
}

// erlang writes s as Erlang reads it: a string has numbers of characters there, which
// not every EMQX takes for UTF-8.
func erlang(s string) string {
	q := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	if strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "<<" + q + "/utf8>>"
	}
	return q
}

// rabbitmqList writes commands: topics are routing keys there, matched by regular
// expressions, and / is a dot.
func rabbitmqList(w io.Writer, users []granted) {
	for _, u := range users {
		var write, read []string
		for _, r := range u.rules {
			if r.Write {
				write = append(write, routingKey(r.Filter))
			} else {
				read = append(read, routingKey(r.Filter))
			}
		}
		for _, list := range []*[]string{&write, &read} {
			if len(*list) == 0 {
				*list = []string{"$^"} // nothing
			}
		}
		fmt.Fprintf(w, "rabbitmqctl set_topic_permissions %s amq.topic %s %s\n", shellWord(u.user), shellWord(strings.Join(write, "|")), shellWord(strings.Join(read, "|")))
	}
}

// shellWord is s as one word of a shell.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// routingKey is the regular expression of a filter's routing keys.
func routingKey(filter string) string {
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		switch l {
		case "+":
			levels[i] = `[^.]+`
		case "#":
			levels[i] = `.*`
		default:
			levels[i] = regexp.QuoteMeta(l)
		}
	}
	return "^" + strings.Join(levels, `\.`) + "$"
}
