package brokers

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/doctor"
	"github.com/fedmq/fedmq/internal/proc"
)

// listed is a Mosquitto with the list of the page, with other lines instead of one of one
// user, and an aggregator that runs there.
func listed(t *testing.T, user, gone string, instead ...string) (s *server, agg *proc.Process, dir string) {
	t.Helper()
	all, text := blocks(t), ""
	dir = t.TempDir()
	for _, u := range []string{siteUser, ownerUser} {
		text += "user " + u + "\n"
		for _, line := range all[u] {
			if u != user || line != gone {
				text += line + "\n"
			}
		}
		if u == user {
			text += strings.Join(instead, "\n") + "\n"
		}
	}
	s = mosquitto(t, "allow_anonymous true\nacl_file "+write(t, dir, "acl", text))
	write(t, dir, "aggregator.yaml", "broker: "+s.url()+"\nnamespace: acme\nusername: "+ownerUser+`
data_dir: ./agg
tasks: [{name: line, members: ["+/line-1"], rounds: 3, quorum: 1, deadline: 3s, model: {linear: {inputs: 1, outputs: 1}}}]
`)
	agg = start(t, filepath.Join(dir, "agg.log"), s.program, "aggregator", "-c", filepath.Join(dir, "aggregator.yaml"))
	return s, agg, dir
}

// says waits until the log of a process says all of some words in one line.
func says(t *testing.T, p *proc.Process, words ...string) {
	t.Helper()
	if err := eventually(time.Minute, strings.Join(words, " ... "), func() bool {
		return slices.ContainsFunc(strings.Split(p.Log(), "\n"), func(line string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
		})
	}); err != nil {
		t.Fatalf("%v: %s", err, p.Tail())
	}
}

// An aggregator that runs answers the doctor: no configuration of the other party is
// needed to tell which line a site lacks.
func TestMissingLineAsked(t *testing.T) {
	const parts = "topic read acme/_fl_v1/+/model/+/+"
	for _, gone := range append([]string{""}, blocks(t)[siteUser]...) {
		t.Run(gone, func(t *testing.T) {
			t.Parallel()
			s, agg, _ := listed(t, siteUser, gone)
			says(t, agg, "link up")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			l, err := doctor.CheckList(ctx, parties(t, s.url())[siteUser], nil)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{}
			if gone != "" {
				want = []string{gone}
			}
			// The model is in one message, and nobody has said a part; nothing is released yet, on a canary or at all.
			unknown := []string{
				parts, "topic read acme/_fl_v1/+/released", "topic read acme/_fl_v1/+/released/+/+",
				"topic read acme/_fl_v1/+/canary", "topic read acme/_fl_v1/+/canary/+/+",
			}
			switch {
			case slices.Contains(unknown, gone):
				want = []string{}
			case gone == blocks(t)[siteUser][0]: // it cannot ask
				unknown = append(unknown, "topic read acme/_fl_v1/+/reply/berlin/line-1")
			}
			if !slices.Equal(l.Missing, want) || !slices.Equal(l.Unknown, unknown) {
				t.Errorf("missing %q, unknown %q, want %q, %q\n%s", l.Missing, l.Unknown, want, unknown, agg.Tail())
			}
		})
	}
}
