package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/fedmq/fedmq/internal/watch"
)

// Colours from the sixteen that every terminal has and its user has chosen.
var (
	bold  = lipgloss.NewStyle().Bold(true)
	faint = lipgloss.NewStyle().Faint(true)
	tones = map[watch.Standing]lipgloss.Style{
		watch.Done: paint("2"), watch.Busy: paint("4"), watch.Idle: faint,
		watch.Late: paint("3"), watch.Failed: paint("1"), watch.Lost: paint("5"),
	}
	marks = map[watch.Standing]string{
		watch.Done: "✓", watch.Busy: "▶", watch.Idle: "–", watch.Late: "◔", watch.Failed: "!", watch.Lost: "✕",
	}
)

func paint(colour string) lipgloss.Style {
	return lipgloss.NewStyle().Foreground(lipgloss.Color(colour))
}

// View draws the screen.
func (m screen) View() tea.View {
	v := tea.NewView(m.draw())
	v.AltScreen = true
	v.WindowTitle = "fedmq watch"
	return v
}

func (m *screen) draw() string {
	rows := []string{m.title()}
	t := m.current()
	if t == nil {
		rows = append(rows, "", "No task has been seen yet below "+m.view.Owner.Path+".", "")
	} else {
		rows = append(rows, m.round(t))
		rows = append(rows, m.headline(t)...)
		rows = append(rows, m.progress(t), m.curve(t)+cohorts(t), m.seconds(t), "")
		rows = append(rows, m.table()...)
		rows = append(rows, m.consumersTable()...)
	}
	for len(rows) < m.height-1 {
		rows = append(rows, "")
	}
	rows = append(rows[:max(m.height-1, 1)], m.foot())
	for i, r := range rows {
		rows[i] = ansi.Truncate(r, m.width, "…")
	}
	return strings.Join(rows, "\n")
}

func (m *screen) title() string {
	parts := []string{bold.Render("fedmq") + " " + m.view.Owner.Path}
	if n := len(m.view.Tasks); n > 1 {
		parts = append(parts, fmt.Sprintf("%s (%d tasks, tab)", m.task, n))
	} else if n == 1 {
		parts = append(parts, m.task)
	}
	if m.view.Link.Up {
		parts = append(parts, paint("2").Render("broker up"))
	} else {
		parts = append(parts, paint("1").Render("broker down"))
	}
	return strings.Join(append(parts, "aggregator "+presence(m.view.Owner)), " · ")
}

func (m *screen) round(t *watch.TaskView) string {
	s := bold.Render(fmt.Sprintf("Round %d", t.Round))
	if t.Work == "train" {
		s += fmt.Sprintf(" of %d", t.TrainRounds)
	}
	s += " · " + t.Phase
	if t.Work != "" && t.Work != "none" {
		s += ", " + t.Work
	}
	if t.Attempt > 1 {
		s += fmt.Sprintf(", attempt %d", t.Attempt)
	}
	if t.Reason != "" {
		s += " · " + t.Reason
	}
	if n := len(t.Contested); n > 0 {
		s += " · " + paint("1").Render(t.Contested[0].String())
		if n > 1 {
			s += fmt.Sprintf(" and %d more", n-1)
		}
	}
	if t.DeadlineMS > 0 {
		s += " · " + age(t.DeadlineMS-m.view.NowMS) + " left"
	}
	model := fmt.Sprintf(" · model v%d", t.Version)
	if b := t.Best; b != nil {
		model += fmt.Sprintf(", best v%d (%s %.4g)", b.Version, b.Metric, b.Value)
	}
	if t.Released > 0 {
		model += fmt.Sprintf(", released v%d", t.Released)
	}
	if k := t.Canary; k != nil {
		model += fmt.Sprintf(", v%d on %s", k.Version, strings.Join(k.To, ", "))
		if k.Held {
			model += " has held"
		}
	}
	s += faint.Render(model)
	if t.Candidate > 0 {
		s += " · " + bold.Render(fmt.Sprintf("v%d waits: send release %d", t.Candidate, t.Candidate))
	}
	return s
}

// headline says who blocks, since when and what to do, on two lines at most.
func (m *screen) headline(t *watch.TaskView) []string {
	lines := strings.Split(ansi.Wordwrap(watch.Headline(m.view.Link, m.view.Owner, *t, m.view.NowMS), max(m.width, 20), ""), "\n")
	if len(lines) > 2 {
		lines = append(lines[:1], strings.Join(lines[1:], " "))
	}
	for i := range lines {
		lines[i] = bold.Render(lines[i])
	}
	return lines
}

// cohorts says when the number of members last changed.
func cohorts(t *watch.TaskView) string {
	for i := len(t.Rounds) - 1; i > 0; i-- {
		if was, is := t.Rounds[i-1].Members, t.Rounds[i].Members; was != is && t.Rounds[i-1].Work == t.Rounds[i].Work {
			return faint.Render(fmt.Sprintf(" · %d members since round %d, %d before", is, t.Rounds[i].Round, was))
		}
	}
	return ""
}

func (m *screen) progress(t *watch.TaskView) string {
	if t.Phase != "open" || t.Cohort < 1 {
		return faint.Render("no round is open")
	}
	return paint("2").Render(meter(float64(t.Accepted)/float64(t.Cohort), 30)) + fmt.Sprintf(" %d of %d in, quorum %d", t.Accepted, t.Cohort, t.Quorum)
}

// age shows milliseconds, up to a year of them.
func age(ms int64) string {
	return (time.Duration(min(max(ms, 0), 365*24*3600*1000)) * time.Millisecond).Round(time.Second).String()
}

// meter is a bar of width cells.
func meter(share float64, width int) string {
	n := int(math.Round(min(max(share, 0), 1) * float64(width)))
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}

// telling are metrics in the order in which they say most.
var telling = []string{"rmse", "accuracy", "macro_f1", "mae", "r2", "loss"}

// curve shows the metric that is shown first, or the first that the task has, over the rounds.
func (m *screen) curve(t *watch.TaskView) string {
	for _, name := range append([]string{t.Shown}, telling...) {
		var v []float64
		for _, r := range t.Rounds {
			if x, ok := r.Metrics[name]; ok {
				v = append(v, x)
			}
		}
		if len(v) > 0 {
			guess := ""
			if g, ok := t.Guess[name]; ok {
				guess = fmt.Sprintf(" (guess %.4g)", g)
			}
			return fmt.Sprintf("%-9s %s %.4g%s", name, paint("4").Render(sparkline(v, m.width-24-len(guess)-max(len(name)-9, 0))), v[len(v)-1], faint.Render(guess))
		}
	}
	return faint.Render("no round has been measured")
}

func (m *screen) seconds(t *watch.TaskView) string {
	var v []float64
	for _, r := range t.Rounds {
		if r.Verdict != "" && r.Work != "init" {
			v = append(v, r.Seconds)
		}
	}
	if len(v) == 0 {
		return ""
	}
	return fmt.Sprintf("%-9s %s %.3g s", "seconds", faint.Render(sparkline(v, m.width-24)), v[len(v)-1])
}

// sparkline draws the last width values between their least and greatest.
func sparkline(v []float64, width int) string {
	v = v[max(len(v)-max(width, 1), 0):]
	low, high := slices.Min(v), slices.Max(v)
	steps := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, x := range v {
		at := 0.5
		if d := high/2 - low/2; d > 0 {
			at = (x/2 - low/2) / d
		}
		b.WriteRune(steps[min(int(at*float64(len(steps))), len(steps)-1)])
	}
	return b.String()
}

// table lists the sites in sight.
func (m *screen) table() []string {
	all := m.sites()
	top := max(0, min(m.top, len(all)-m.room()))
	path := 4
	for _, s := range all {
		path = max(path, ansi.StringWidth(s.Path))
	}
	path = min(path, max(m.width/3, 12))
	out := []string{faint.Render(fmt.Sprintf("%-*s  %-8s %5s %6s %7s  %s", path, "SITE", "STANDING", "DONE", "ROUND", "HEARD", "WHY"))}
	for _, s := range all[top:min(top+m.room(), len(all))] {
		done, heard := "", "–"
		if s.Progress != nil {
			done = fmt.Sprintf("%3.0f %%", 100**s.Progress)
		}
		if s.HeardMS > 0 {
			heard = age(m.view.NowMS - s.HeardMS)
		}
		name := ansi.Truncate(s.Path, path, "…")
		out = append(out, fmt.Sprintf("%s%*s  %s %5s %6d %7s  %s", name, path-ansi.StringWidth(name), "",
			tones[s.Standing].Render(fmt.Sprintf("%s %-6s", marks[s.Standing], s.Standing)), done, s.Round, heard, s.Why))
	}
	return out
}

// consumersTable lists who uses what is released, and which version.
func (m *screen) consumersTable() []string {
	all := m.consumers()
	if len(all) == 0 {
		return nil
	}
	path := 4
	for _, c := range all {
		path = max(path, ansi.StringWidth(c.Path))
	}
	path = min(path, max(m.width/3, 12))
	out := []string{"", faint.Render(fmt.Sprintf("%-*s  %7s  %-8s %7s  %s", path, "CONSUMER", "RUNS", "FROM", "HEARD", "WHY"))}
	for i, c := range all {
		if i == mostConsumers {
			return append(out, faint.Render(fmt.Sprintf("and %d more", len(all)-i)))
		}
		name := ansi.Truncate(c.Path, path, "…")
		tone, why := usesWhy(c, func(ms int64) string { return "for " + age(m.view.NowMS-ms) })
		out = append(out, fmt.Sprintf("%s%*s  %7s  %-8s %7s  %s", name, path-ansi.StringWidth(name), "", runsText(c), c.From, age(m.view.NowMS-c.HeardMS), tone.Render(why)))
	}
	return out
}

// runsText is the version that a consumer runs.
func runsText(c watch.ConsumerView) string {
	if c.Version == nil {
		return "none"
	}
	return fmt.Sprintf("v%d", *c.Version)
}

// usesWhy says what is not as it should be, or is about to be otherwise; since words a moment.
func usesWhy(c watch.ConsumerView, since func(ms int64) string) (lipgloss.Style, string) {
	switch a, f := c.Tries, c.Failed; {
	case a != nil && c.Online && f != nil && f.Version == a.Version:
		return tones[watch.Failed], fmt.Sprintf("its command for v%d runs %s, failed %d times: %s", a.Version, since(a.SinceMS), f.Times, f.Why)
	case a != nil && c.Online:
		return faint, fmt.Sprintf("its command for v%d runs %s", a.Version, since(a.SinceMS))
	case f != nil:
		return tones[watch.Failed], fmt.Sprintf("cannot take v%d, tried %d times: %s", f.Version, f.Times, f.Why)
	case !c.Online:
		return tones[watch.Lost], "offline"
	}
	return faint, ""
}

func (m *screen) foot() string {
	switch {
	case m.asking != "":
		return bold.Render(fmt.Sprintf("%s %s? y or n", m.asking, m.task))
	case m.typing:
		return "/" + m.filter + "█  enter keeps, esc clears"
	}
	keys := "q quit · ↑↓ scroll · / filter · p pause · r resume"
	if m.filter != "" {
		keys = "filter: " + m.filter + " · " + keys
	}
	if m.said != "" {
		keys = m.said + " · " + keys
	}
	shown, all := len(m.sites()), 0
	for _, s := range m.view.Sites {
		if s.Task == m.task {
			all++
		}
	}
	return faint.Render(fmt.Sprintf("%d of %d sites · %s", shown, all, keys))
}
