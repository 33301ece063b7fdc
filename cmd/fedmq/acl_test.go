package main

import (
	"encoding/xml"
	"regexp"
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
	hivemqList(&hivemq, users)
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
	var roles struct {
		Role []struct {
			ID         string `xml:"id"`
			Permission []struct {
				Topic    string `xml:"topic"`
				Activity string `xml:"activity"`
			} `xml:"permissions>permission"`
		} `xml:"role"`
	}
	if err := xml.Unmarshal([]byte(hivemq.String()), &roles); err != nil || len(roles.Role) != len(users) {
		t.Fatalf("%d roles, %v", len(roles.Role), err)
	}
	for i, u := range users {
		if len(roles.Role[i].Permission) != len(u.rules) || roles.Role[i].ID != u.user {
			t.Errorf("hivemq: %s: %d of %d rules", u.user, len(roles.Role[i].Permission), len(u.rules))
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
	if !strings.Contains(rabbit.String(), `rabbitmqctl set_topic_permissions screen amq.topic '$^' '^acme\._fl_v1\.state$|`) {
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
