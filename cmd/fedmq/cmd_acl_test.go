package main

import (
	"encoding/xml"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// The printed lists allow what docs/howto/mosquitto.md does, and the forms say the
// same.
func TestACL(t *testing.T) {
	t.Parallel()
	var f aggregatorFile
	f.Connection.Namespace = "acme"
	f.Tasks = []taskFile{{Members: []string{"+/line-1"}}}
	c := &aclCmd{}
	if _, err := c.users(f); err == nil || !strings.Contains(err.Error(), "name each with --member") {
		t.Errorf("members that are filters: %v", err)
	}
	c.Member = []string{"berlin/line-1"}
	users, err := c.users(f)
	if err != nil {
		t.Fatal(err)
	}
	var mosquitto, hivemq, emqx, rabbit strings.Builder
	mosquittoList(&mosquitto, users)
	if err := hivemqList(&hivemq, users); err != nil {
		t.Fatal(err)
	}
	emqxList(&emqx, users)
	rabbitmqList(&rabbit, users)
	user := ""
	for line := range strings.Lines(pageBlock(t, "docs/howto/mosquitto.md", "<!-- acl:mosquitto -->")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "user "); ok {
			user = name
		}
		_, block, ok := strings.Cut(mosquitto.String(), "user "+user+"\n")
		block, _, _ = strings.Cut(block, "\n\n")
		if !ok || strings.HasPrefix(line, "topic ") && !strings.Contains("\n"+block+"\n", "\n"+line+"\n") {
			t.Errorf("%s: %q is not in the list\n%s", user, line, block)
		}
	}
	var roles hivemqRoles
	if err := xml.Unmarshal([]byte(hivemq.String()), &roles); err != nil || len(roles.Roles) != len(users) {
		t.Fatalf("%d roles, %v", len(roles.Roles), err)
	}
	for i, u := range users {
		if len(roles.Roles[i].Permissions) != len(u.rules) || roles.Roles[i].ID != u.user {
			t.Errorf("hivemq: %s: %d of %d rules", u.user, len(roles.Roles[i].Permissions), len(u.rules))
		}
		for _, r := range u.rules {
			if !strings.Contains(emqx.String(), `"`+r.Filter+`"`) {
				t.Errorf("emqx: %s: no %s", u.user, r.Filter)
			}
		}
	}
	if !strings.HasSuffix(emqx.String(), "{deny, all}.\n") || !strings.Contains(emqx.String(), `{allow, {user, "berlin/line-1"}, publish, ["acme/berlin/line-1/_fl_v1/#"]}.`) {
		t.Error(emqx.String())
	}
	if !strings.Contains(rabbit.String(), `rabbitmqctl set_topic_permissions 'screen' amq.topic '$^' '^acme\._fl_v1\.state$|`) {
		t.Error(rabbit.String())
	}
}

// A regular expression of RabbitMQ takes the topics that the filter takes.
func TestRoutingKey(t *testing.T) {
	t.Parallel()
	filters := []string{"acme/_fl_v1/#", "acme/_fl_v1/+/model/+/+", "acme/_fl_v1/state", "acme/+/line-1/_fl_v1/+/status"}
	names := []string{
		"acme/_fl_v1/state", "acme/_fl_v1/t/order", "acme/_fl_v1/t/model/0/1", "acme/_fl_v1/t/model/0", "acme/a/line-1/_fl_v1/t/status",
		"acme/a/b/line-1/_fl_v1/t/status", "acme/x_fl_v1/state", "acmeX_fl_v1/state",
	}
	for _, f := range filters {
		re := regexp.MustCompile(routingKey(f))
		for _, n := range names {
			if got, want := re.MatchString(strings.ReplaceAll(n, "/", ".")), topics.Contains(f, n); got != want {
				t.Errorf("%s takes %s: %t, want %t", f, n, got, want)
			}
		}
	}
}

// Names go into each form as it wants them.
func TestACLNames(t *testing.T) {
	t.Parallel()
	const name = `R&D's "Köln"/line 1`
	users := []granted{{user: name, rules: []topics.Rule{{Write: true, Filter: "acme/" + name + "/_fl_v1/#"}}}}
	var mosquitto, hivemq, emqx, rabbit strings.Builder
	check(t, hivemqList(&hivemq, users))
	var roles hivemqRoles
	check(t, xml.Unmarshal([]byte(hivemq.String()), &roles))
	if r := roles.Roles[0]; r.ID != name || r.Permissions[0].Topic != users[0].rules[0].Filter {
		t.Errorf("hivemq: %+v", r)
	}
	rabbitmqList(&rabbit, users)
	if !strings.Contains(rabbit.String(), `set_topic_permissions 'R&D'\''s "Köln"/line 1' amq.topic '^acme`) {
		t.Errorf("rabbitmq: %s", rabbit.String())
	}
	emqxList(&emqx, users)
	if want := `{allow, {user, <<"R&D's \"Köln\"/line 1"/utf8>>}, publish, [<<"acme/R&D's \"Köln\"/line 1/_fl_v1/#"/utf8>>]}.`; !strings.HasPrefix(emqx.String(), want+"\n") {
		t.Errorf("emqx: %s", emqx.String())
	}
	mosquittoList(&mosquitto, users)
	if want := "user " + name + "\ntopic write acme/" + name + "/_fl_v1/#\n"; mosquitto.String() != want {
		t.Errorf("mosquitto: %s", mosquitto.String())
	}
}

// What a form has no way to say is refused.
func TestACLRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ broker, filter, want string }{
		{"hivemq", "acme/x${{username}}/_fl_v1/#", "variable"},
		{"emqx", "acme/x${username}/_fl_v1/#", "variable"},
		{"emqx", "eq acme/_fl_v1/#", "word of its own"},
		{"rabbitmq", "spBv1.0/_fl_v1/#", ". as /"},
		{"rabbitmq", "acme/a*/_fl_v1/#", "* as +"},
		{"rabbitmq", "acme/Werk Köln/+/_fl_v1/#", ""},
		{"mosquitto", "eq acme/x${username}.*/_fl_v1/#", ""},
	} {
		err := sayable(c.broker, granted{rules: []topics.Rule{{Filter: c.filter}}})
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s: %v, want %q", c.broker, c.filter, err, c.want)
		}
	}
}

// The roles for HiveMQ are those of the topic grammar, and every user has one.
func TestHiveMQExample(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../examples/hivemq/credentials.xml")
	check(t, err)
	var c struct {
		Users []struct {
			Name     string   `xml:"name"`
			Password string   `xml:"password"`
			Roles    []string `xml:"roles>id"`
		} `xml:"users>user"`
		Roles []hivemqRole `xml:"roles>role"`
	}
	check(t, xml.Unmarshal(b, &c))
	const self = "well-01/sensors"
	var roles []string
	for _, r := range c.Roles {
		var has []topics.Rule
		for _, p := range r.Permissions {
			if p.Activity != "PUBLISH" && p.Activity != "SUBSCRIBE" {
				t.Errorf("%s: %s has activity %q", r.ID, p.Topic, p.Activity)
			}
			filter := strings.ReplaceAll(p.Topic, "${{username}}", self)
			has = append(has, topics.Rule{Write: p.Activity == "PUBLISH", Filter: filter})
		}
		if want := exampleRules(t, r.ID, self); !slices.Equal(has, want) {
			t.Errorf("role %s has\n%v\nwant\n%v", r.ID, has, want)
		}
		roles = append(roles, r.ID)
	}
	if len(roles) != 4 || len(c.Users) != 6 {
		t.Errorf("roles %v, %d users", roles, len(c.Users))
	}
	for _, u := range c.Users {
		if len(u.Roles) != 1 || !slices.Contains(roles, u.Roles[0]) || strings.Count(u.Password, ":") != 2 {
			t.Errorf("user %s: roles %v, password %q", u.Name, u.Roles, u.Password)
		}
	}
}

// exampleRules are what a party of the namespace acme may do.
func exampleRules(t *testing.T, role, self string) []topics.Rule {
	t.Helper()
	ns, err := topics.New("acme")
	check(t, err)
	r, err := topics.ParseRole(role)
	check(t, err)
	filter, err := topics.ParseMemberFilter("+/sensors")
	check(t, err)
	p := topics.Party{Role: r, Members: []topics.MemberFilter{filter}}
	if r == topics.RoleSite {
		p = topics.Party{Role: r, Path: self}
	}
	return ns.Rules(p)
}
