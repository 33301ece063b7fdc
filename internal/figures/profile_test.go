package figures

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// costs are what processor time goes into, by the function at the top of the stack;
// the first that fits.
var costs = []struct {
	name string
	of   *regexp.Regexp
}{
	{"SHA-256", regexp.MustCompile(`sha256|fedmq/model\.(sum16|leaves)`)},
	{"network and disk (system calls)", regexp.MustCompile(`^(internal/runtime/syscall|syscall|runtime/internal/syscall|runtime\.(read|write)\b)`)},
	{"copies", regexp.MustCompile(`^runtime\.(memmove|typedmemmove)`)},
	{"clearing memory", regexp.MustCompile(`^runtime\.memclr`)},
	{"the update, and that the model is as it was given", regexp.MustCompile(`fedmq/site\.(subtract|delta|hashed|\(\*imprint)|aeshash|hash/maphash`)},
	{"sum and checks of values", regexp.MustCompile(`fedmq/(internal/fold|strategy|model|aggregator)`)},
	{"the bench's training", regexp.MustCompile(`fedmq/internal/bench`)},
	{"goroutines and waking", regexp.MustCompile(`^runtime\.(futex|schedule|findRunnable|park|mcall|usleep|osyield|netpoll|epoll|lock|unlock|runq|steal|ready|goready|execute|casgstatus|chan|send|recv|selectgo|procyield|pidle|wakep|startm|stopm|notetsleep|nanotime|stealWork|resettimer|checkTimers)`)},
	{"memory: allocation and collection", regexp.MustCompile(`^runtime\.(gc|malloc|mallocgc|scan|grey|mark|sweep|sysUnused|sysUsed|sysFault|madvise|mheap|\(\*m|\(\*gc|\(\*p|\(\*s|heap|alloc|newobject|growslice|tryDefer|wb|bulkBarrier|spanOf|find|type|(\(\*)?limiter|bgs|scav)`)},
}

// profileTable says, by role, what the processor time of a large round goes into.
func (f *figures) profileTable() {
	dir := f.TempDir()
	r := f.round(f.sizes[len(f.sizes)-1], "--rounds=5", "--profile="+dir)
	roles := []struct {
		name, files string
		cpu         float64
	}{
		{"aggregator", "aggregator.cpu.pprof", *r.CPUByRole.Aggregator},
		{"broker", "broker.cpu.pprof", *r.CPUByRole.Broker},
		{"all sites", "site-*.cpu.pprof", *r.CPUByRole.Site},
		{"the floor", "{relay,folder,sender-*}.cpu.pprof", r.FloorCPU},
	}
	spent := map[string][]float64{}
	var names []string
	for i, role := range roles {
		for name, share := range f.shares(dir, role.files) {
			if spent[name] == nil {
				spent[name] = make([]float64, len(roles))
			}
			spent[name][i] = share * role.cpu
		}
	}
	for _, c := range costs {
		names = append(names, c.name)
	}
	text := f.machine() + "| CPU seconds of a round | aggregator | broker | all sites | the floor |\n|---|---|---|---|---|\n"
	for _, name := range append(names, rest) {
		if v := spent[name]; v != nil {
			text += fmt.Sprintf("| %s | %.2f | %.2f | %.2f | %.2f |\n", name, v[0], v[1], v[2], v[3])
		}
	}
	text += fmt.Sprintf("| **all** | **%.2f** | **%.2f** | **%.2f** | **%.2f** |\n", roles[0].cpu, roles[1].cpu, roles[2].cpu, roles[3].cpu)
	f.write(performancePage, "profile", text)
}

const rest = "everything else"

// shares reads the profiles of a role, all together, with Go's tool. What the compiler has
// put into a function is that function's, and so is the moment in which it is interrupted.
func (f *figures) shares(dir, files string) map[string]float64 {
	f.Helper()
	args := []string{"tool", "pprof", "-top", "-nodecount=2000", "-nodefraction=0", "-unit=ms", "-noinlines", `-hide=^runtime\.asyncPreempt$`}
	for _, pattern := range strings.Split(strings.Trim(strings.TrimSuffix(files, ".cpu.pprof"), "{}"), ",") {
		found, err := filepath.Glob(filepath.Join(dir, strings.TrimSuffix(pattern, ".cpu.pprof")+".cpu.pprof"))
		if err != nil || len(found) == 0 {
			f.Fatalf("no profile %s: %v", pattern, err)
		}
		args = append(args, found...)
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		f.Fatalf("go tool pprof: %v", err)
	}
	return sharesOf(string(out))
}

// sharesOf reads what pprof -top prints: flat, its share, the sum, what is below, its
// share, and the function.
func sharesOf(top string) map[string]float64 {
	spent, all := map[string]float64{}, 0.0
	for line := range strings.Lines(top) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			continue
		}
		ms, err := strconv.ParseFloat(strings.TrimSuffix(fields[0], "ms"), 64)
		if err != nil {
			continue
		}
		name := rest
		for _, c := range costs {
			if c.of.MatchString(strings.Join(fields[5:], " ")) {
				name = c.name
				break
			}
		}
		spent[name] += ms
		all += ms
	}
	for name := range spent {
		spent[name] /= max(all, 1)
	}
	return spent
}
