package hostile

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/proc"
)

// kind is what stands between an attacker and the federation.
type kind int

const (
	accounts kind = iota // a user for everybody, a model in one message
	open                 // nobody has a user, a model in parts
	signed               // the same, and two tasks, signed
)

// stage is a broker and a federation of three sites, of the built program.
type stage struct {
	program, dir, addr string
	kind
	tasks         string // of every site's configuration
	processes     []*process
	broker, owner *process

	commits atomic.Int64
	round   atomic.Pointer[[]byte] // the last round view

	mu    sync.Mutex
	conns []*conn // of attackers and watchers
	goes  sync.WaitGroup
	over  chan struct{}
	once  sync.Once
}

var honest = []string{"berlin/line-1", "paris/line-1", "rome/line-1"}

// others are accounts that nobody uses but attackers and late comers.
var others = map[string]string{"scada": "watcher", "op": "operator", "oslo/line-1": "site", "wien/line-1": "site", "late": "watcher", "later": "watcher"}

// begin starts broker, owner and sites, and waits for the third round.
func begin(t *testing.T, program string, k kind) *stage {
	t.Helper()
	s := &stage{program: program, dir: t.TempDir(), kind: k, over: make(chan struct{})}
	t.Cleanup(s.end)
	port, err := proc.Port()
	if err != nil {
		t.Fatal(err)
	}
	s.addr = "127.0.0.1:" + port
	args := []string{"broker", "--listen", s.addr, "--data-dir", "broker"}
	if k != accounts {
		args = append(args, "--open")
	} else {
		s.users(t)
		args = append(args, "--namespace", "acme", "--users", "users.yaml")
	}
	s.broker = s.start(t, "broker", args...)
	s.until(t, "the broker listens", 20*time.Second, func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	if k == signed {
		s.keys(t)
	}
	s.owner = s.start(t, "owner", "aggregator", "-c", s.config(t, "aggregator", ownerTasks(k)))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range taskNames(k) {
		s.tasks += fmt.Sprintf("  - name: %s\n    trainer: {exec: {command: [%q]}}\n", task, self)
	}
	for _, m := range honest {
		s.start(t, strings.ReplaceAll(m, "/", "-"), "site", "-c", s.config(t, m, s.tasks))
	}
	if _, err := s.listen(s.account("scada", "watch"), func(topic string, payload []byte) {
		if strings.HasSuffix(topic, "/record") {
			s.commits.Add(1)
		} else {
			s.round.Store(&payload)
		}
	}, "acme/_fl_v1/q/record", "acme/_fl_v1/q/round"); err != nil {
		t.Fatal(err)
	}
	s.until(t, "the first rounds", 60*time.Second, func() bool { return s.commits.Load() >= 4 })
	return s
}

// end ends all that runs, once.
func (s *stage) end() { s.once.Do(s.endAll) }

func (s *stage) endAll() {
	close(s.over)
	s.mu.Lock()
	for _, k := range s.conns {
		_ = k.Close()
	}
	s.mu.Unlock()
	for i := range s.processes {
		s.processes[len(s.processes)-1-i].Kill()
	}
	s.goes.Wait()
}

func password(user string) string { return "pw-" + strings.ReplaceAll(user, "/", "-") }

// account is a login of a user, none on an open broker.
func (s *stage) account(user, id string) login {
	if s.kind != accounts {
		return login{id: user + ":" + id}
	}
	return login{id: user + ":" + id, user: user, password: password(user)}
}

// users writes the users file, with hashes for those whose logins are measured.
func (s *stage) users(t *testing.T) {
	t.Helper()
	var b strings.Builder
	b.WriteString("users:\n")
	add := func(name, role, more string) {
		file := filepath.Join(s.dir, password(name))
		if err := os.WriteFile(file, []byte(password(name)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		credential := "password_file: " + password(name)
		if _, ok := others[name]; ok && name != "scada" {
			cmd := exec.Command(s.program, "hash-password")
			cmd.Stdin = strings.NewReader(password(name) + "\n")
			hash, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			credential = fmt.Sprintf("password_hash: %q", strings.TrimSpace(string(hash)))
		}
		fmt.Fprintf(&b, "  - {name: %s, %s, role: %s%s}\n", name, credential, role, more)
	}
	add("aggregator", "aggregator", `, members: ["+/line-1"]`)
	for _, m := range honest {
		add(m, "site", "")
	}
	for name, role := range others {
		add(name, role, "")
	}
	if err := os.WriteFile(filepath.Join(s.dir, "users.yaml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// taskNames are the tasks of a federation; pace is measured of the first.
func taskNames(k kind) []string {
	if k == signed {
		return []string{"q", "r"}
	}
	return []string{"q"}
}

func ownerTasks(k kind) (all string) {
	hidden, goal := 7000, "" // 112 kB: in one message
	if k == open {
		hidden, goal = 60_000, "\n    goal: 2" // 960 kB: eight parts; nobody waits for attackers
	}
	for _, task := range taskNames(k) {
		all += fmt.Sprintf(`  - name: %s
    members: ["+/line-1"]
    rounds: 1000000
    quorum: 2
    start_when: 3
    deadline: 15s%s
    model: {mlp: {inputs: 2, hidden: [%d], outputs: 1, task: regression, seed: 1}}
    train: {}
`, task, goal, hidden)
	}
	return all
}

func (s *stage) config(t *testing.T, user, tasks string) string {
	t.Helper()
	name, err := s.write(user, tasks)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// environment is that of all processes: the sites' trainer is this very binary.
func (s *stage) environment() []string { return append(os.Environ(), "FEDMQ_HOSTILE_TRAINER=1") }

// write writes the configuration of a party and returns its name. A dir tells
// processes of one member apart.
func (s *stage) write(user, tasks string, dir ...string) (string, error) {
	name := strings.Join(append([]string{strings.ReplaceAll(user, "/", "-")}, dir...), "-")
	text := fmt.Sprintf("broker: tcp://%s\nnamespace: acme\ndata_dir: data-%s\n", s.addr, name)
	if user != "aggregator" {
		text += "member: " + user + "\n"
	}
	if s.kind == accounts {
		text += fmt.Sprintf("username: %s\npassword_file: %s\n", user, password(user))
	}
	if s.kind == signed {
		text += keysOf(user)
	}
	return name + ".yaml", os.WriteFile(filepath.Join(s.dir, name+".yaml"), []byte(text+"tasks:\n"+tasks), 0o600)
}

// until waits for something that is seen from outside.
func (s *stage) until(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); {
		if time.Now().After(end) {
			for _, p := range s.processes {
				text := p.Log()
				t.Logf("%s: ...%s", p.log, text[max(0, len(text)-800):])
			}
			t.Fatalf("not within %s: %s", within, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// pace is how many rounds a second are committed, over a time.
func (s *stage) pace(d time.Duration) float64 {
	from, start := s.commits.Load(), time.Now()
	<-time.After(d)
	return float64(s.commits.Load()-from) / time.Since(start).Seconds()
}
