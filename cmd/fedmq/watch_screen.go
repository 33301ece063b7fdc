package main

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/fedmq/fedmq/internal/watch"
)

// screenEvery is how often the screen looks at the federation.
const screenEvery = 500 * time.Millisecond

// screen is the terminal view; its fields are what it shows.
type screen struct {
	since   func(uint64) (watch.View, bool)
	command func(task, op string) (string, error)

	view          watch.View
	width, height int
	task          string
	top           int // first site in sight
	filter        string
	typing        bool   // the filter
	asking        string // a command that waits for y
	said          string // what came of the last command
}

func newScreen(since func(uint64) (watch.View, bool), command func(task, op string) (string, error)) screen {
	return screen{since: since, command: command, width: 80, height: 24}
}

type (
	tickMsg   struct{}
	answerMsg string
)

func tick() tea.Cmd {
	return tea.Tick(screenEvery, func(time.Time) tea.Msg { return tickMsg{} })
}

// Init looks at once.
func (screen) Init() tea.Cmd { return func() tea.Msg { return tickMsg{} } }

// Update takes a message in.
func (m screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tickMsg:
		m.look()
		return m, tick()
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case answerMsg:
		m.said = string(msg)
	case tea.KeyPressMsg:
		return m.key(msg)
	}
	return m, nil
}

// look takes the newest view, whole: rows are cheap beside drawing.
func (m *screen) look() {
	v, _ := m.since(0)
	m.view = v
	if m.current() == nil && len(v.Tasks) > 0 {
		m.task = v.Tasks[0].Name
	}
}

// current is the task that is shown, nil for none.
func (m *screen) current() *watch.TaskView {
	for i := range m.view.Tasks {
		if m.view.Tasks[i].Name == m.task {
			return &m.view.Tasks[i]
		}
	}
	return nil
}

func (m screen) key(k tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	if k.String() == "ctrl+c" {
		return m, tea.Quit
	}
	switch {
	case m.typing:
		m.typeFilter(k)
		return m, nil
	case m.asking != "":
		op := m.asking
		m.asking = ""
		if k.String() == "y" {
			m.said = op + ": sent"
			return m, m.send(m.task, op)
		}
		return m, nil
	}
	page := max(m.room()-1, 1)
	switch k.String() {
	case "q", "esc":
		return m, tea.Quit
	case "tab":
		m.nextTask()
	case "/":
		m.typing, m.top = true, 0
	case "p", "r":
		if m.current() != nil {
			m.asking = map[string]string{"p": "pause", "r": "resume"}[k.String()]
		}
	case "up", "k":
		m.top--
	case "down", "j":
		m.top++
	case "pgup":
		m.top -= page
	case "pgdown", "space":
		m.top += page
	case "home", "g":
		m.top = 0
	case "end", "G":
		m.top = len(m.view.Sites)
	}
	m.top = max(0, min(m.top, len(m.sites())-m.room()))
	return m, nil
}

func (m *screen) typeFilter(k tea.KeyPressMsg) {
	switch k.String() {
	case "enter":
		m.typing = false
	case "esc":
		m.typing, m.filter = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.filter)
		m.filter = m.filter[:len(m.filter)-n]
	default:
		if len(m.filter)+len(k.Text) <= 60 {
			m.filter += k.Text
		}
	}
}

func (m *screen) nextTask() {
	for i, t := range m.view.Tasks {
		if t.Name == m.task {
			m.task, m.top = m.view.Tasks[(i+1)%len(m.view.Tasks)].Name, 0
			return
		}
	}
}

func (m *screen) send(task, op string) tea.Cmd {
	command := m.command
	return func() tea.Msg {
		answer, err := command(task, op)
		if err != nil {
			return answerMsg(op + ": " + err.Error())
		}
		return answerMsg(answer)
	}
}

// sites are the rows of the task that pass the filter, worst standing first.
func (m *screen) sites() (out []watch.SiteView) {
	needle := strings.ToLower(m.filter)
	for _, s := range m.view.Sites {
		if s.Task == m.task && (needle == "" || strings.Contains(strings.ToLower(s.Path+" "+string(s.Standing)+" "+s.Why), needle)) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b watch.SiteView) int {
		return cmp.Or(
			cmp.Compare(slices.Index(watch.Standings, a.Standing), slices.Index(watch.Standings, b.Standing)),
			strings.Compare(a.Path, b.Path))
	})
	return out
}

// mostConsumers is how many of them the screen names.
const mostConsumers = 8

// consumers are those of the task, who could not take a version first.
func (m *screen) consumers() (out []watch.ConsumerView) {
	for _, c := range m.view.Consumers {
		if c.Task == m.task {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b watch.ConsumerView) int {
		well := func(c watch.ConsumerView) int {
			switch {
			case c.Failed != nil:
				return 0
			case !c.Online:
				return 1
			}
			return 2
		}
		return cmp.Compare(well(a), well(b))
	})
	return out
}

// room is how many rows of sites fit, beside those of consumers.
func (m *screen) room() int {
	rows := 9
	if n := len(m.consumers()); n > 0 {
		rows += 2 + min(n, mostConsumers+1)
	}
	return max(m.height-rows, 1)
}
