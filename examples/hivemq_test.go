package examples_test

import (
	"encoding/xml"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// credentials is what HiveMQ's file RBAC extension reads.
type credentials struct {
	Users []struct {
		Name     string   `xml:"name"`
		Password string   `xml:"password"`
		Roles    []string `xml:"roles>id"`
	} `xml:"users>user"`
	Roles []struct {
		ID          string `xml:"id"`
		Permissions []struct {
			Topic    string `xml:"topic"`
			Activity string `xml:"activity"`
		} `xml:"permissions>permission"`
	} `xml:"roles>role"`
}

// The roles for HiveMQ are those of the topic grammar, and every user has one.
func TestHiveMQ(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("hivemq/credentials.xml")
	check(t, err)
	var c credentials
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
		if want := rules(t, r.ID, self); !slices.Equal(has, want) {
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

// rules are what a party of the namespace acme may do.
func rules(t *testing.T, role, self string) []topics.Rule {
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
