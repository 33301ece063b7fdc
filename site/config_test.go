package site

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{
			Broker: "tcp://localhost", Namespace: testNS, Member: testMember, DataDir: "d",
			Tasks: []Task{{Name: testTask, Trainer: &fake{}}},
		}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		change     func(*Config)
	}{
		{"no broker", "no broker", func(c *Config) { c.Broker = "" }},
		{"no directory", "no data directory", func(c *Config) { c.DataDir = "" }},
		{"namespace", "namespace", func(c *Config) { c.Namespace = "a/+" }},
		{"bulk in the tree", "site: bulk: topics", func(c *Config) { c.Bulk = []string{c.Namespace} }},
		{"member", "1 to 5 levels", func(c *Config) { c.Member = "/x" }},
		{"no tasks", "0 tasks", func(c *Config) { c.Tasks = nil }},
		{"task name", "task 1", func(c *Config) { c.Tasks[0].Name = "Quality" }},
		{"owner", "owner", func(c *Config) { c.Tasks[0].Owner = "#" }},
		{"trainer", "task quality has no trainer", func(c *Config) { c.Tasks[0].Trainer = nil }},
		{"twice", "two tasks are named quality", func(c *Config) { c.Tasks = append(c.Tasks, c.Tasks[0]) }},
		{"security", `least security "none"`, func(c *Config) { c.MinSecurity = "none" }},
		{"sign without keys", "no keys are given", func(c *Config) { c.MinSecurity = SecuritySign }},
		{"a key alone", "signing needs both", func(c *Config) { (&hub{t: t}).sign(c); c.Signer = nil }},
		{"not its aggregator's key", "no key of its aggregator", func(c *Config) { (&hub{t: t}).sign(c); c.Tasks[0].Owner = "berlin" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := good()
			c.change(&cfg)
			if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to name %q", err, c.want)
			}
		})
	}
	// Everything wrong is told at once.
	if err := (Config{}).Validate(); err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("%v", err)
	}
}

// Parts, and whatever was never asked for, are dropped before anything else, and
// only what is retained replaces what waits.
func TestQueueRules(t *testing.T) {
	t.Parallel()
	d, err := openDisk(t.TempDir(), testNS+"/"+testMember)
	if err != nil {
		t.Fatal(err)
	}
	s, tk := bench(t, d)
	o := tk.owner
	for topic, want := range map[string]struct {
		bulk bool
		key  string
	}{
		o.Order(): {false, o.Order()}, o.Model(): {false, o.Model()}, o.Record(): {false, o.Record()}, o.Reply(testMember): {},
		o.ModelPart(1, 7): {bulk: true}, "some/other": {bulk: true},
	} {
		if s.bulk(topic) != want.bulk || s.coalesce(topic, nil) != want.key {
			t.Errorf("%s: bulk %v, key %q", topic, s.bulk(topic), s.coalesce(topic, nil))
		}
	}
}
