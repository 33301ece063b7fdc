package main

import (
	"encoding/xml"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// readmeBlock returns the fenced code that follows a line of README.md.
func readmeBlock(t *testing.T, mark string) string {
	t.Helper()
	return pageBlock(t, "README.md", mark)
}

// pageBlock is readmeBlock for any page.
func pageBlock(t *testing.T, page, mark string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "\n"+mark+"\n```")
	_, after, fence := strings.Cut(after, "\n")
	code, _, end := strings.Cut(after, "```\n")
	if !ok || !fence || !end {
		t.Fatalf("%s has no code after a line %s", page, mark)
	}
	return code
}

// The trainer that the README shows is the one that is compiled, and is short.
func TestReadmeTrainer(t *testing.T) {
	t.Parallel()
	const file = "site/example_test.go"
	src, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	code := readmeBlock(t, "<!-- example:"+file+" -->")
	if !strings.Contains(string(src), "\n"+code) {
		t.Errorf("the trainer in README.md is not a part of %s", file)
	}
	for _, part := range []string{"Samples() int", "Train(", "site.Run("} {
		if !strings.Contains(code, part) {
			t.Errorf("the trainer in README.md has no %s", part)
		}
	}
	if n := strings.Count(code, "\n"); n > 45 {
		t.Errorf("the trainer in README.md has %d lines", n)
	}
}

// Files that the README and the documentation link to exist.
func TestLinks(t *testing.T) {
	t.Parallel()
	pages := []string{"README.md", "docs/README.md"}
	for _, dir := range []string{"docs/tutorial", "docs/howto", "docs/ref", "docs/explain"} {
		entries, err := os.ReadDir("../../" + dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				pages = append(pages, dir+"/"+e.Name())
			}
		}
	}
	for _, page := range pages {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, link := range links(string(text)) {
			target, _, _ := strings.Cut(link, "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			dir := page[:strings.LastIndex("/"+page, "/")]
			if _, err := os.Stat("../../" + dir + "/" + target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, link)
			}
		}
	}
}

// links returns the targets of Markdown links.
func links(text string) []string {
	var out []string
	for _, part := range strings.Split(text, "](")[1:] {
		if target, _, ok := strings.Cut(part, ")"); ok {
			out = append(out, target)
		}
	}
	return out
}

// The access list in docs/howto/mosquitto.md allows nothing that does not
// follow from the topics, and all of it but what this release does not use.
func TestMosquittoACL(t *testing.T) {
	t.Parallel()
	unused := regexp.MustCompile(`_fl_v1/(roster|\+/(secagg|receipts))\b`)
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	filter, err := topics.ParseMemberFilter("+/line-1")
	if err != nil {
		t.Fatal(err)
	}
	members := []topics.MemberFilter{filter}
	rules := map[string]map[string]bool{} // by user: lines of the list
	for user, party := range map[string]topics.Party{
		"aggregator":    {Role: topics.RoleAggregator, Members: members},
		"berlin/line-1": {Role: topics.RoleSite, Path: "berlin/line-1"},
		"operator":      {Role: topics.RoleOperator, Members: members},
		"screen":        {Role: topics.RoleWatcher, Members: members},
	} {
		rules[user] = map[string]bool{}
		for _, r := range ns.Rules(party) {
			access := "read"
			if r.Write {
				access = "write"
			}
			rules[user]["topic "+access+" "+r.Filter] = r.Write
		}
	}
	user := ""
	for line := range strings.Lines(pageBlock(t, "docs/howto/mosquitto.md", "<!-- acl:mosquitto -->")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "user "); ok {
			user = name
		} else if _, ok := rules[user][line]; ok {
			delete(rules[user], line)
		} else if line != "" {
			t.Errorf("%s: %q does not follow from the topics", user, line)
		}
	}
	for user, left := range rules {
		for line := range left {
			if !unused.MatchString(line) {
				t.Errorf("%s: no line %q", user, line)
			}
		}
	}
}

// The roles in docs/howto/hivemq.md allow nothing that does not follow from the
// topics, and as much as the list of Mosquitto.
func TestHiveMQRoles(t *testing.T) {
	t.Parallel()
	var file struct {
		Roles []hivemqRole `xml:"roles>role"`
	}
	if err := xml.Unmarshal([]byte(pageBlock(t, "docs/howto/hivemq.md", "<!-- acl:hivemq -->")), &file); err != nil {
		t.Fatal(err)
	}
	users := map[string]string{"aggregator": "aggregator", "site": "berlin/line-1", "operator": "operator", "watcher": "screen"}
	verbs := map[string]string{"PUBLISH": "write", "SUBSCRIBE": "read"}
	got := map[string]bool{}
	for _, r := range file.Roles {
		for _, p := range r.Permissions {
			topic := strings.ReplaceAll(p.Topic, "${{username}}", "berlin/line-1")
			if user := users[r.ID]; user != "" {
				got[user+": topic "+verbs[p.Activity]+" "+topic] = true
			} else if topic != "acme/fedmq-doctor/_fl_v1/#" {
				t.Errorf("%s: %s is more than a doctor needs", r.ID, topic)
			}
		}
	}
	user, lines := "", 0
	for line := range strings.Lines(pageBlock(t, "docs/howto/mosquitto.md", "<!-- acl:mosquitto -->")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "user "); ok {
			user = name
		} else if line != "" {
			if lines++; !got[user+": "+line] {
				t.Errorf("no permission for %s: %s", user, line)
			}
		}
	}
	if len(got) != lines {
		t.Errorf("%d permissions, and %d lines for Mosquitto", len(got), lines)
	}
}
