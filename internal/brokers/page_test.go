package brokers

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// publish prints the page, or writes it.
func (m *matrix) publish(t *testing.T) {
	t.Helper()
	page := m.page()
	path := os.Getenv(envWrite)
	if path == "" {
		t.Log("\n" + page)
		return
	}
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m *matrix) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Brokers

Written by `+"`make brokers`"+`, which starts every broker with its default limits and drives `+"`bin/fedmq`"+` against it: an aggregator and
three sites, each a process. %s, fedmq %s, %s/%s, %d processors.

`, time.Now().UTC().Format(time.DateOnly), m.version, runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	m.measured(&b)
	m.told(&b)
	m.remarks(&b)
	return b.String()
}

// commit is what the binary was built from.
func commit(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "of an unknown commit"
	}
	return "at commit " + strings.TrimSpace(string(out))
}

// measured is the table of what fedmq doctor found.
func (m *matrix) measured(b *strings.Builder) {
	b.WriteString("## What they take\n\nAs `fedmq doctor` measures it; run it against yours.\n\n")
	b.WriteString("| broker | packet limit | part_size | retained parts at QoS 0, QoS 1 | retained through a wildcard | queued for a busy subscriber | Last Will | no names with |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	for _, r := range m.rows {
		d := r.report
		if d == nil {
			fmt.Fprintf(b, "| %s | %s | | | | | | |\n", r.kind.title, r.skip)
			continue
		}
		limit := fmt.Sprintf("%d", d.PacketBytes)
		if d.PacketAtLeast {
			limit = "4 MiB or more"
		}
		will := "retained"
		switch {
		case !d.Will:
			will = "none"
		case !d.WillRetained:
			will = "not retained"
		}
		fmt.Fprintf(b, "| %s | %s | %d | %d, %d of %d | %d of %d | %d of %d | %s | %s |\n", r.kind.title, limit, d.Advice.PartSize,
			d.Retained.QoS0, d.Retained.QoS1, d.Retained.Of, d.Retained.Wildcard, d.Retained.WildcardOf, d.Queue.Arrived, d.Queue.Of, will, strings.Join(d.Names, ", "))
	}
}

// told is the table of stories.
func (m *matrix) told(b *strings.Builder) {
	fmt.Fprintf(b, `
## What they are put through

Seconds from start to end, with %d federations at a time; "ok" means that the task finished, the chain of records holds, nobody and
nothing was counted twice, the retained model is the last record's and, but for the site that joins late, has the bits of an
undisturbed run. `, atOnce)
	b.WriteString("`part_size` is the one that `fedmq doctor` advised.\n\n| story |")
	for _, r := range m.rows {
		fmt.Fprintf(b, " %s |", r.kind.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(m.rows)) + "\n")
	for _, s := range stories {
		fmt.Fprintf(b, "| %s |", s.title)
		for _, r := range m.rows {
			fmt.Fprintf(b, " %s |", r.text(s.name))
		}
		b.WriteString("\n")
	}
}

// text is a cell of the table.
func (r *row) text(story string) string {
	c, ran := r.cells[story]
	switch {
	case r.skip != "":
		return "skipped"
	case !ran:
		return "not run"
	case !c.ok:
		return "**failed**"
	}
	return fmt.Sprintf("ok, %.0f s", c.seconds)
}

// remarks are what a cell has no room for.
func (m *matrix) remarks(b *strings.Builder) {
	b.WriteString("\n")
	for _, r := range m.rows {
		if r.skip != "" {
			fmt.Fprintf(b, "- %s was skipped: %s\n", r.kind.title, r.skip)
		}
		for _, s := range stories {
			c := r.cells[s.name]
			fault := faults[r.kind.name+"/"+s.name]
			switch {
			case fault != "" && r.skip == "":
				fmt.Fprintf(b, "- %s, %s: does not pass every time: %s.\n", r.kind.title, s.title, fault)
			case c.reason != "":
				fmt.Fprintf(b, "- %s, %s: failed: %s.\n", r.kind.title, s.title, c.reason)
			case c.note != "":
				fmt.Fprintf(b, "- %s, %s: %s.\n", r.kind.title, s.title, c.note)
			}
		}
	}
}
