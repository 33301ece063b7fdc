package brokers

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/doctor"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// blocks are the lines of each user of the access list in docs/howto/mosquitto.md.
func blocks(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/howto/mosquitto.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- acl:mosquitto -->\n```\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("the page has no list")
	}
	list, user := map[string][]string{}, ""
	for line := range strings.Lines(string(m[1])) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "user "); ok {
			user = name
		} else if strings.HasPrefix(line, "topic ") {
			list[user] = append(list[user], line)
		}
	}
	return list
}

const (
	siteUser  = "berlin/line-1"
	ownerUser = "aggregator"
)

// parties are the two of the page, at a broker.
func parties(t *testing.T, url string) map[string]doctor.Party {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	members, err := topics.ParseMemberFilter("+/line-1")
	if err != nil {
		t.Fatal(err)
	}
	a, err := doctor.Aggregator(link.Config{Broker: url, Username: ownerUser}, ns, "", []string{"line"}, []topics.MemberFilter{members}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := doctor.Site(link.Config{Broker: url, Username: siteUser}, ns, siteUser, []doctor.TaskAt{{Name: "line"}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]doctor.Party{ownerUser: a, siteUser: s}
}

// An access list that lacks one line: the doctor names it, for each line of a site's
// user and of the aggregator's. Mosquitto says nothing of either: it acknowledges
// what it drops in MQTT 3.1.1, and grants what it does not deliver.
func TestMissingLine(t *testing.T) {
	all := blocks(t)
	for user, other := range map[string]string{siteUser: ownerUser, ownerUser: siteUser} {
		for _, gone := range append([]string{""}, all[user]...) {
			t.Run(user+"/"+gone, func(t *testing.T) {
				t.Parallel()
				dir, text := t.TempDir(), ""
				for _, u := range []string{siteUser, ownerUser} {
					text += "user " + u + "\n"
					for _, line := range all[u] {
						if u != user || line != gone {
							text += line + "\n"
						}
					}
				}
				s := mosquitto(t, "allow_anonymous true\nacl_file "+write(t, dir, "acl", text))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				both := parties(t, s.url())
				peer := both[other]
				l, err := doctor.CheckList(ctx, both[user], &peer)
				if err != nil {
					t.Fatal(err)
				}
				want := []string{}
				if gone != "" {
					want = []string{gone}
				}
				// What the aggregator reads it says itself, if it may write.
				silent := user == ownerUser && strings.HasPrefix(gone, "topic write")
				if !slices.Equal(l.Missing, want) || len(l.Unknown) > 0 && !silent {
					t.Errorf("missing %q, unknown %q, want missing %q\n%s", l.Missing, l.Unknown, want, s.p.Tail())
				}
				rest := append(slices.Clone(l.There), l.Unknown...)
				slices.Sort(rest)
				if !slices.Equal(rest, without(all[user], gone)) {
					t.Errorf("there or unknown %q, want the rest of %q", rest, all[user])
				}
			})
		}
	}
}

func without(list []string, gone string) (rest []string) {
	for _, s := range list {
		if s != gone {
			rest = append(rest, s)
		}
	}
	slices.Sort(rest)
	return rest
}
