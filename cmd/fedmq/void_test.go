package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// voidCase is a configuration in which a key has no effect, made of one that is
// good: keys of the top, of the task, and of what is below it.
type voidCase struct {
	top, task, below string // below: strategy, or the tabular trainer
	model            string // instead of the linear one
	want             string // in the error, or in the warning
}

// always is the reason of a key that has an effect with every value that it takes
// beside every other key.
func always(string) []voidCase { return nil }

// aggregatorVoids has every key of an aggregator's file.
var aggregatorVoids = map[string][]voidCase{
	"broker": {{top: "tls: {}", want: "tls has no effect with tcp://"}}, "namespace": always("required"), "data_dir": always("required"), "client_id": always("MQTT"), "username": always("MQTT"),
	"password_file":     {{top: "password_file: pw", want: "password_file has no effect without username"}},
	"tls":               {{top: "tls: {}", want: "tls has no effect with tcp://"}},
	"tls.ca":            {{top: "tls: {ca: ca.pem}", want: "tls has no effect with tcp://"}, {top: "tls: {ca: ca.pem, insecure: true}", want: "ca has no effect with insecure"}},
	"ws_headers":        {{top: "ws_headers: {X-Key: {file: pw}}", want: "headers go with ws:// and wss:// only"}},
	"tls.server_name":   {{top: "tls: {server_name: n}", want: "tls has no effect with tcp://"}, {top: "tls: {server_name: n, insecure: true}", want: "server_name has no effect with insecure"}},
	"tls.cert":          {{top: "tls: {cert: c.pem, key: k.pem}", want: "tls has no effect with tcp://"}},
	"tls.key":           {{top: "tls: {cert: c.pem, key: k.pem}", want: "tls has no effect with tcp://"}},
	"tls.insecure":      {{top: "tls: {insecure: true}", want: "tls has no effect with tcp://"}},
	"keys":              {{top: "keys: {}", want: "want key: (the own private key) and allow:"}},
	"keys.key":          {{top: "keys: {key: own.pem}", want: "want key: (the own private key) and allow:"}},
	"keys.allow":        {{top: "keys: {allow: [{path: a, role: site, key: a.pub}]}", want: "want key: (the own private key) and allow:"}},
	"keys.allow[].path": {{top: "keys: {key: own.pem, allow: [{path: a/b/c, role: site, key: a.pub}]}", want: "the key of a/b/c has no effect"}},
	"keys.allow[].role": {{top: "keys: {key: own.pem, allow: [{path: a, role: aggregator, key: a.pub}]}", want: "the key of the aggregator at \"a\" has no effect"}},
	"keys.allow[].key":  always("required"),
	"http":              {{top: "http: 127.0.0.1:99999", want: "has no port of 0 to 65535"}, {top: "http: here", want: "no address to listen on"}},
	"audit":             always("a file"), "owner": always("a path"), "bulk": always("a topic"), "part_size": always("a size"),
	"stage_memory": {{top: "stage_memory: 1", want: "stage_memory has no effect"}},
	"uploads":      {{top: "uploads: 3", want: "uploads has no effect"}},
	"tasks":        always("required"), "tasks[].name": always("required"),
	"tasks[].members": {{task: `members: ["+", plant-1]`, want: "members: plant-1 has no effect beside +"}, {task: `members: [a, a]`, want: "members: a has no effect beside a"}},
	"tasks[].rounds":  always("required"), "tasks[].start_when": always("a number"), "tasks[].join_wait": always("a time"), "tasks[].quorum": always("a number"),
	"tasks[].goal": always("the cohort is known later"), "tasks[].deadline": always("a time"), "tasks[].sample": always("a share"), "tasks[].max_samples": always("a limit"),
	"tasks[].strategy": {
		{below: "name: trimmed_mean, count: 2, beta: .1", want: "strategy.beta has no effect with count"},
		{below: "name: scaffold, eta_g: 0", want: "eta_g: 0, want above 0 to 2"},
	},
	"tasks[].strategy.name": always("one of a list"), "tasks[].strategy.weights": always("one of a list"),
	"tasks[].strategy.cap": {{below: "weights: uniform, cap: 5", want: "strategy.cap has no effect with weights: uniform"}},
	"tasks[].strategy.cap_factor": {
		{below: "cap: 5, cap_factor: 3", want: "strategy.cap_factor has no effect with cap"},
		{below: "weights: uniform, cap_factor: 3", want: "strategy.cap_factor has no effect with weights: uniform"},
	},
	"tasks[].strategy.grid_b": always("a limit"), "tasks[].strategy.server": always("its keys are below"), "tasks[].strategy.server.name": always("one of a list"),
	"tasks[].strategy.root":         {{below: "root: {tabular: {train: a.csv, target: {column: y}, features: [{columns: [x]}]}}", want: "strategy.root has no effect with strategy fedavg"}},
	"tasks[].strategy.root.tabular": always("its keys are those of a site"), "tasks[].strategy.root.exec": always("its keys are those of a site"),
	"tasks[].strategy.guard": {{below: "guard: fixed", want: "fixed wants the norm"}},
	"tasks[].strategy.clip":  {{below: "clip: 2", want: "strategy.clip has no effect without guard: fixed"}, {below: "guard: {clip: on}, clip: 2", want: "strategy.clip has no effect without guard: fixed"}},
	"tasks[].model":          {{model: "{linear: {inputs: 1, outputs: 1}, file: m.safetensors}", want: "want one of mlp, softmax, linear and file"}},
	"tasks[].model.mlp":      {{model: "{mlp: {inputs: 1, outputs: 1}, linear: {inputs: 1, outputs: 1}}", want: "want one of mlp, softmax, linear and file"}},
	"tasks[].model.softmax":  {{model: "{softmax: {inputs: 1, outputs: 2, seed: 4}}", want: "model: softmax: seed has no effect"}, {model: "{softmax: {inputs: 1, outputs: 2, hidden: [3]}}", want: "softmax has no hidden layers"}},
	"tasks[].model.linear":   {{model: "{linear: {inputs: 1, outputs: 1, seed: 4}}", want: "model: linear: seed has no effect"}, {model: "{linear: {inputs: 1, outputs: 1, task: classification}}", want: "linear is for regression"}},
	"tasks[].model.file":     {{model: "{linear: {inputs: 1, outputs: 1}, file: m.safetensors}", want: "want one of mlp, softmax, linear and file"}},
	"tasks[].train": {
		{model: "{softmax: {inputs: 1, outputs: 2}}", task: "train: {class_weight: balanced}", want: "train: class_weight wants statistics: zscore"},
		{model: "{linear: {inputs: 1, outputs: 1}}", task: "train: {class_weight: balanced}", want: "train: class_weight has no effect: it is for a classification"},
		{task: "train: {shuffle: no}", want: `train: shuffle is the text "no", which programs take for true`},
	},
	"tasks[].strategy.share": {
		{below: "share: [nose*]", want: "no tensor that a site could keep has the pattern"},
		{below: "share: []", want: "strategy.share: an empty list would be taken for the default"},
		{below: `share: ["*"]`, want: "strategy.share has no effect: every tensor"},
		{below: `share: ["layers*", "fedmq.*"]`, task: "statistics: zscore", want: "no tensor that a site could keep has the pattern"},
	},
	"tasks[].strategy.keep_local": {
		{below: "keep_local: [nose*]", want: "no tensor that a site could keep has the pattern"},
		{below: "keep_local: []", want: "strategy.keep_local: an empty list has no effect"},
		{below: `keep_local: ["fedmq.*"]`, task: "statistics: zscore", want: "no tensor that a site could keep has the pattern"},
	},
	"tasks[].encoding": {{task: `encoding: "q8:"`, want: "nothing stands behind the colon of q8"}}, "tasks[].seed": always("a number"),
	"tasks[].statistics": {{task: "statistics: {columns: [a]}", want: "has no effect: the task gathers statistics"}}, "tasks[].statistics.columns": always("required"),
	"tasks[].statistics.columns[].name": always("required"), "tasks[].statistics.columns[].unit": always("a unit"),
	"tasks[].statistics.columns[].lo": always("with hi, else it is refused"), "tasks[].statistics.columns[].hi": always("with lo, else it is refused"),
	"tasks[].statistics.bins": always("a number"), "tasks[].statistics.quantiles": always("none makes none"), "tasks[].statistics.minmax": always("a word of two"),
	"tasks[].statistics.allow_few": always("columns that few tell of"), "tasks[].statistics.every": always("of one round it is refused"),
	"tasks[].schedule": {
		{task: "train: {lr: .1}, schedule: {lr: {decay: 1}}", want: "schedule.lr.decay: 1 has no effect"},
		{task: "train: {lr: .1}, schedule: {lr: {decay: .5, every: 0}}", want: "every: 0 would be taken for the default"},
		{task: "train: {lr: .1}, schedule: {rate: {decay: .5}}", want: "schedule.rate: want the name of a number below train"},
	},
	"tasks[].contract":     {{task: "contract: {inputs: [{name: a, unit: bar, values: [x]}], target: {name: y}}", want: "want unit or values"}},
	"tasks[].slots":        {{task: "slots: 3", want: "slots has no effect"}},
	"tasks[].keep_updates": always("one of a list"), "tasks[].keep_models": always("a number"),
	"tasks[].metric": always("a name"),
	"tasks[].stop":   always("its keys are below"), "tasks[].stop.metric": always("a name"), "tasks[].stop.patience": always("a number"), "tasks[].stop.min_delta": always("0 is anything"),
	"tasks[].stop.mode": {{task: "stop: {metric: accuracy, mode: min}", want: "stop.mode: min, but of accuracy more is better"}, {task: "stop: {metric: own}", want: "stop.mode: missing"}},
	"tasks[].consumers": always("filters"),
	"tasks[].release":   always("its keys are below"), "tasks[].release.min_gain": always("0 is anything"), "tasks[].release.max_site_loss": always("a share"),
	"tasks[].release.hold": always("a number"), "tasks[].release.hold_for": always("a time"), "tasks[].release.approve": always("one of a list"),
	"tasks[].threshold": {
		{model: "{linear: {inputs: 1, outputs: 1}}", task: "threshold: f1", want: "threshold has no effect: it is for a classification"},
		{model: "{softmax: {inputs: 1, outputs: 3}}", task: "threshold: f1", want: "threshold has no effect: it is for two classes"},
	},
}

// siteVoids has every key of a site's file that is not in aggregatorVoids.
var siteVoids = map[string][]voidCase{
	"member": always("required"), "bandwidth": always("a rate"), "hours": always("two different times"), "tasks[].owner": always("a path"),
	"min_security":               {{top: "min_security: open\nkeys: {key: own.pem, allow: [{path: '', role: aggregator, key: a.pub}]}", want: "has no effect with keys"}, {top: "min_security: sign", want: "no keys are given"}},
	"keys.allow[].role":          {{top: "keys: {key: own.pem, allow: [{path: '', role: aggregator, key: a.pub}, {path: b, role: site, key: b.pub}]}", want: `the key of the site "b" has no effect`}},
	"keys.allow[].path":          {{top: "keys: {key: own.pem, allow: [{path: '', role: aggregator, key: a.pub}, {path: b, role: aggregator, key: b.pub}]}", want: `the key of the aggregator at "b" has no effect`}},
	"tasks[].trainer":            {{below: "}, exec: {command: [x]", want: "want one of tabular and exec"}},
	"tasks[].trainer.tabular":    {{below: "}, exec: {command: [x]", want: "want one of tabular and exec"}},
	"tasks[].trainer.exec":       {{below: "}, exec: {command: [x]", want: "want one of tabular and exec"}},
	"tasks[].personalise":        {{task: "personalise: {}", want: "personalise: has no effect without test rows: give test or split"}},
	"tasks[].personalise.epochs": {{task: "personalise: {epochs: 0}", want: "epochs: 0 would be taken for the default"}}, "tasks[].personalise.lr_factor": {{task: "personalise: {lr_factor: 0}", want: "lr_factor: 0 would be taken for the default"}},
	"tasks[].personalise.metric": {{task: "personalise: {metric: own}", below: "test: a.csv", want: "personalise: metric: whether less or more of own is better is not known"}},
	"exec.command":               always("required"), "exec.mode": always("one of a list"), "exec.start": always("a time"), "exec.timeout": always("a time"), "exec.nice": always("a number"), "exec.memory_mb": always("a size"),
	"tasks[].min_count":    {{task: "min_count: 5", want: "min_count has no effect: it is for a task that gathers statistics"}},
	"tasks[].minmax":       {{task: "minmax: true", want: "minmax has no effect: it is for a task that gathers statistics"}},
	"tabular.train":        always("required"),
	"tabular.test":         {{below: "test: t.csv, split: {column: s}", want: "split: give either test, a file, or split"}},
	"tabular.split":        {{below: "test: t.csv, split: {column: s}", want: "split: give either test, a file, or split"}},
	"tabular.split.column": always("required"), "tabular.split.train": always("a value"), "tabular.split.test": always("a value"),
	"tabular.columns":    {{below: "columns: {z: Z}", want: "columns.z: is no feature, target or other column"}, {below: "columns: {x: {unit: bar, to: degC}}", want: "bar does not become degC"}},
	"tabular.where":      {{below: "where: {x: 9..1}", want: "the range 9..1 is empty"}, {below: "where: {x: []}", want: "an empty list matches no row"}},
	"tabular.test_where": {{below: "test_where: {x: 1}", want: "test_where: selects rows of the file test, which is not given"}},
	"tabular.derive":     always("its keys are below"), "tabular.derive.group": always("required"), "tabular.derive.order": always("a column"),
	"tabular.derive.window": always("required"), "tabular.derive.stride": always("a number"), "tabular.derive.stats": always("required"),
	"tabular.derive.test": {{below: "derive: {group: [u], window: 2, stats: [mean], test: all}", want: "derive.test: has no effect without test rows"}},
	"tabular.target":      always("required"), "tabular.target.column": always("a column"), "tabular.target.classes": always("a list"),
	"tabular.target.offset":          {{below: "target: {column: y, classes: [a, b], offset: 2}", want: "is for regression"}},
	"tabular.target.scale":           {{below: "target: {column: y, classes: [a, b], scale: 2}", want: "is for regression"}, {below: "target: {column: y, scale: 0}", want: "scale: 0 would be taken for the default"}},
	"tabular.target.rows_left":       {{below: "target: {column: y, rows_left: {cap: 5}}", want: "stands alone"}, {below: "target: {rows_left: {cap: 5}}", want: "needs derive"}},
	"tabular.target.rows_left.cap":   always("required"),
	"tabular.target.rows_left.truth": {{below: "derive: {group: [u], window: 2, stats: [mean]}, target: {rows_left: {cap: 5, truth: t.csv}}", want: "truth: has no effect without test rows"}},
	"tabular.features":               always("required"), "tabular.features[].columns": always("required"), "tabular.features[].clip": always("0 is no limit"),
	"tabular.features[].slog":         {{below: "features: [{columns: [x], slog: 2, log1p: true}]", want: "not together with slog"}, {below: "features: [{columns: [x], slog: 0}]", want: "slog: 0 would be taken for the default"}},
	"tabular.features[].log1p":        {{below: "features: [{columns: [x], slog: 2, log1p: true}]", want: "not together with slog"}},
	"tabular.features[].missing_flag": {{below: "derive: {group: [u], window: 2, stats: [mean]}, features: [{columns: [x], missing_flag: true}]", want: "not together with derive"}},
	"tabular.zclip":                   always("0 is no limit; without a z-score the trainer refuses it"),
	"tabular.reload":                  always("a word of two"),
	"tabular.separator":               always("a character"), "tabular.decimal": always("one of two"), "tabular.encoding": always("a name"), "tabular.comment": always("a character"), "tabular.missing": always("a list"),
	"tabular.split.share":           {{below: "split: {column: s, share: 0.2}", want: "split.share: stands alone"}, {below: "split: {column: s, share: 0}", want: "share: 0 would be taken for the default"}},
	"tabular.features[].categories": {{below: "features: [{columns: [x], clip: 2, categories: [a]}]", want: "texts have no clip"}, {below: "features: [{columns: [x], categories: auto}]", want: "auto cannot be"}},
}

const newKey = "%s: the key %q is new, and nobody has said with which values or beside which keys it has no effect: " +
	"refuse these (cmd/fedmq/void.go) and list them in void_test.go, or say there why it always has one"

// Every key of the configuration that is set and has no effect is refused, or
// warned of.
func TestVoidKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	voidFiles(t, dir)
	arch := reflect.TypeFor[archFile]()
	top := keyPaths("yaml", reflect.TypeFor[connection]())
	aggregator := maps.Clone(top)
	maps.Copy(aggregator, keyPaths("yaml", reflect.TypeFor[aggregatorFile](), arch, reflect.TypeFor[tabular.Config](), reflect.TypeFor[execFile]()))
	complete(t, "aggregator", aggregator, aggregatorVoids)
	for key, cases := range aggregatorVoids {
		for _, c := range cases {
			tried(t, "aggregator", key, c.want, aggregatorTold(dir, c))
		}
	}
	site := keyPaths("yaml", reflect.TypeFor[siteFile](), reflect.TypeFor[tabular.Config](), reflect.TypeFor[execFile]())
	for k := range keyPaths("yaml", reflect.TypeFor[tabular.Config]()) {
		site["tabular."+k] = ""
	}
	for k := range keyPaths("yaml", reflect.TypeFor[execFile]()) {
		site["exec."+k] = ""
	}
	maps.DeleteFunc(site, func(k, _ string) bool { _, there := aggregatorVoids[k]; return there })
	site["keys.allow[].role"], site["keys.allow[].path"] = "", ""
	complete(t, "site", site, siteVoids)
	for key, cases := range siteVoids {
		for _, c := range cases {
			tried(t, "site", key, c.want, siteTold(t, dir, c))
		}
	}
	for key, cases := range aggregatorVoids { // those of the connection
		if _, of := top[key]; !of || strings.HasPrefix(key, "keys.allow[]") {
			continue
		}
		for _, c := range cases {
			tried(t, "site", key, c.want, siteTold(t, dir, c))
		}
	}
	complete(t, "users", keyPaths("yaml", reflect.TypeFor[usersFile]()), userVoids)
	for key, cases := range userVoids {
		for _, c := range cases {
			tried(t, "users", key, c.want, usersTold(t, dir, c))
		}
	}
}

// userVoids has every key of the embedded broker's users.
var userVoids = map[string][]voidCase{
	"users": always("required"), "users[].name": always("required"), "users[].role": always("required"), "users[].path": always("a path"),
	"users[].password_hash": {{top: "{name: a, role: site, password_hash: x, password_file: pw}", want: "both password_hash and password_file"}},
	"users[].password_file": {{top: "{name: a, role: site, password_hash: x, password_file: pw}", want: "both password_hash and password_file"}},
	"users[].owner":         {{top: "{name: a, role: watcher, owner: b}", want: "owner is for sites"}},
	"users[].members":       {{top: "{name: a, role: site, members: [b]}", want: "members is not for sites"}},
	"users[].consumers":     {{top: "{name: a, role: watcher, consumers: [b]}", want: "consumers has no effect without members"}, {top: "{name: a, role: consumer, consumers: [b]}", want: "consumers is not for sites"}},
}

// up names what the folder's own broker does not look at, and nothing where the broker
// is somebody else's.
func TestVoidLogins(t *testing.T) {
	t.Parallel()
	folder := func(broker string) *up {
		u := &up{dir: "d", names: []string{"d/a.yaml", "d/b.yaml", "d/c.yaml"}, sites: make([]siteFile, 3)}
		u.agg.Connection = connection{Broker: addresses(broker), Username: "agg", PasswordFile: "pw"}
		u.sites[1].Connection.Username = "b"
		return u
	}
	said := folder("tcp://127.0.0.1:1883").logins()
	if len(said) != 2 || !strings.HasPrefix(said[0], filepath.Join("d", "aggregator.yaml")+": username and password_file: no effect") || !strings.HasPrefix(said[1], "d/b.yaml: username: no effect") {
		t.Errorf("%q", said)
	}
	for _, broker := range []string{"tcp://broker.example:1883", "tls://127.0.0.1:8883"} {
		if said := folder(broker).logins(); len(said) > 0 {
			t.Errorf("%s: %q", broker, said)
		}
	}
}

func complete(t *testing.T, what string, keys map[string]string, table map[string][]voidCase) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if _, ok := table[key]; !ok {
			t.Errorf(newKey, what, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if _, ok := keys[key]; !ok {
			t.Errorf("%s: void_test.go has the key %q, the program has not", what, key)
		}
	}
}

func tried(t *testing.T, what, key, want, got string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s: %s without effect: it says %q, want %q", what, key, got, want)
	}
}

// voidFiles are the files that the configurations name.
func voidFiles(t *testing.T, dir string) {
	t.Helper()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pw", "secret\n")
	write("a.csv", "x,y,u,s\n1,2,3,train\n2,4,6,test\n")
	for _, name := range []string{"own", "a", "b"} {
		private, public := pemPair(t)
		write(name+".pem", private)
		write(name+".pub", public)
	}
}

func aggregatorTold(dir string, c voidCase) string {
	task, model := c.task, c.model
	if model == "" {
		model = "{linear: {inputs: 1, outputs: 1}}"
	}
	if !strings.HasPrefix(task, "members") {
		task = strings.TrimSuffix(`members: ["+"], `+task, ", ")
	}
	doc := fmt.Sprintf("broker: tcp://h\nnamespace: acme\ndata_dir: d\n%s\ntasks:\n  - {name: q, rounds: 3, %s, strategy: {%s}, model: %s}\n", c.top, task, c.below, model)
	var f aggregatorFile
	if err := decodeYAML("f", []byte(doc), &f); err != nil {
		return err.Error()
	}
	cfg, err := f.config(dir)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return err.Error()
	}
	return strings.Join(cfg.Warnings(), "\n")
}

func siteTold(t *testing.T, dir string, c voidCase) string {
	t.Helper()
	table := c.below
	if !strings.Contains(table, "target:") {
		table = strings.TrimSuffix("target: {column: y}, "+table, ", ")
	}
	if !strings.Contains(table, "features:") {
		table = "features: [{columns: [x]}], " + table
	}
	task := c.task
	if task != "" {
		task += ", "
	}
	doc := fmt.Sprintf("broker: tcp://h\nnamespace: acme\nmember: m\ndata_dir: d\n%s\ntasks:\n  - {name: q, %strainer: {tabular: {train: a.csv, %s}}}\n", c.top, task, table)
	var f siteFile
	if err := decodeYAML("f", []byte(doc), &f); err != nil {
		return err.Error()
	}
	cfg, err := f.config(t.Context(), dir, false, zerolog.Nop())
	if err != nil {
		return err.Error()
	}
	return strings.Join(cfg.Warnings(), "\n")
}

func usersTold(t *testing.T, dir string, c voidCase) string {
	t.Helper()
	path := filepath.Join(dir, "users.yaml")
	if err := os.WriteFile(path, []byte("users: ["+c.top+"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := (&brokerCmd{Users: path, Namespace: "acme"}).file()
	if err == nil {
		_, err = f.config(path, zerolog.Nop())
	}
	return fmt.Sprint(err)
}

func TestEncrypted(t *testing.T) {
	t.Parallel()
	for broker, want := range map[string]bool{"tls://h": true, "TLS://h": true, "Mqtts://h": true, "WSS://h": true, "TCP://h": false, "ws://h": false} {
		if got := encrypted(broker); got != want {
			t.Errorf("%s: %v", broker, got)
		}
	}
}

// A text keeps its letters, whatever YAML makes of them.
func TestTextKeepsItsLetters(t *testing.T) {
	racing.Alone(t)
	t.Parallel()
	for _, root := range []reflect.Type{reflect.TypeFor[aggregatorFile](), reflect.TypeFor[siteFile](), reflect.TypeFor[usersFile](), reflect.TypeFor[brokerFile]()} {
		for key, path := range textKeys(root) {
			for _, text := range []string{"010", "1e3", "no", "007", "08", "1_000", "0x10", "True", "1.0", ".5", "20260101000000001", "2026-01-01"} {
				dst := reflect.New(root)
				if err := decodeYAML("f", []byte(strings.Replace(path.doc, "TEXT", text, 1)+"\n"), dst.Interface()); err != nil {
					t.Errorf("%s: %s: %v", key, text, err)
					continue
				}
				if got := fmt.Sprint(path.get(dst.Elem())); got != text {
					t.Errorf("%s: %s is read as %s", key, text, got)
				}
			}
		}
	}
}

// textKey is a document that gives one key, and how its value is found.
type textKey struct {
	doc string
	get func(reflect.Value) any
}

// textKeys lists the keys of type text, or of any type, also in lists and maps.
func textKeys(t reflect.Type) map[string]textKey {
	switch {
	case hasOwnReader(t):
		return nil
	case t.Kind() == reflect.String || t.Kind() == reflect.Interface:
		return map[string]textKey{"": {"TEXT", func(v reflect.Value) any { return v.Interface() }}}
	case t.Kind() == reflect.Pointer:
		return wrapped(t.Elem(), "", "%s", func(v reflect.Value) reflect.Value { return v.Elem() })
	case t.Kind() == reflect.Slice:
		return wrapped(t.Elem(), "[]", "[%s]", func(v reflect.Value) reflect.Value { return v.Index(0) })
	case t.Kind() == reflect.Map:
		keys := wrapped(t.Elem(), ".value", "{k: %s}", func(v reflect.Value) reflect.Value { return v.MapIndex(v.MapKeys()[0]) })
		value := "x"
		if t.Elem().Kind() == reflect.Struct {
			value = "{}"
		}
		for _, k := range textKeys(t.Elem()) { // whichever gives a value
			value = strings.Replace(k.doc, "TEXT", "x", 1)
		}
		keys[".key"] = textKey{"{TEXT: " + value + "}", func(v reflect.Value) any { return v.MapKeys()[0].Interface() }}
		return keys
	case t.Kind() != reflect.Struct:
		return nil
	}
	all := map[string]textKey{}
	for i := range t.NumField() {
		name, opts, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		field, form := func(v reflect.Value) reflect.Value { return v.Field(i) }, "{"+name+": %s}"
		switch {
		case strings.Contains(opts, "inline"):
			form = "%s"
		case name == "" || name == "-":
			continue
		}
		maps.Copy(all, wrapped(t.Field(i).Type, "."+name, form, field))
	}
	return all
}

func wrapped(t reflect.Type, name, form string, get func(reflect.Value) reflect.Value) map[string]textKey {
	all := map[string]textKey{}
	for key, k := range textKeys(t) {
		all[name+key] = textKey{fmt.Sprintf(form, k.doc), func(v reflect.Value) any { return k.get(get(v)) }}
	}
	return all
}

// Keys beyond what any configuration says in general are refused with their place.
func TestPlainValues(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		"name:\n":            "f:1:7: name has no value: want text, or leave the line out",
		"name: ''\n":         "f:1:7: name is empty: write a value, or leave the line out",
		"name: ~/site\n":     "f:1:7: ~/site: ~ stands for the home directory in a shell only: write the whole path",
		"rounds: 010\n":      "f:1:9: 010 may be read as more than one number: write 10",
		"rounds: 08\n":       "f:1:9: 08 may be read as more than one number: write 8",
		"rounds: '010'\n":    "f:1:9: 010 may be read as more than one number: write 10",
		"rounds: 1_000\n":    "f:1:9: 1_000 may be read as more than one number: write 1000",
		"share: 00.5\n":      "f:1:8: 00.5 may be read as more than one number: write 0.5",
		"share: -010\n":      "f:1:8: -010 may be read as more than one number: write -10",
		"wait: 010s\n":       "f:1:7: 010s may be read as more than one number: write 10s",
		"list: [{size: 08}]": "f:1:15: 08 may be read as more than one number: write 8",
	} {
		var dst testFile
		if err := decodeYAML("f", []byte(doc), &dst); fmt.Sprint(err) != want {
			t.Errorf("%q: %v, want %s", doc, err, want)
		}
	}
	var dst testFile
	if err := decodeYAML("f", []byte("rounds: 0x10\nshare: .5\nwait: 0s\nlist: [{size: 0o17}]\n"), &dst); err != nil ||
		dst.Rounds != 16 || dst.Share != 0.5 || dst.List[0].Size != 15 {
		t.Errorf("%+v, %v", dst, err)
	}
}

// alwaysFlags are the flags that have an effect with each other one of their
// command; "command flag" is said of one command.
var alwaysFlags = map[string]string{
	"log-level": "every command logs", "log-json": "every command logs", "help": "kong",
	"username": "MQTT", "broker": "where", "config": "what", "namespace": "which topics", "owner": "which topics", "member": "which topics", "task": "which topics",
	"insecure": "see ca, which it rules out", "ws-header": "refused with another URL than ws:// and wss://", "json": "how", "seed": "a number", "dir": "where", "output": "where", "out": "where", "keys": "who is believed", "timeout": "how long",
	"wait": "how long", "check": "what", "http": "where", "data-dir": "where", "max-packet": "a size", "part-size": "a size", "sign-key": "watch refuses it but on a terminal",
	"aggregator-key": "who is believed", "token": "see token-file", "token-file": "dashboard refuses both", "demo example": "what", "demo listen": "where", "demo slow": "how fast",
	"processes": "how", "init trainer": "what", "up again": "what", "broker listen": "where", "broker ws": "where", "broker tls": "where", "broker wss": "where", "broker open": "see users",
	"doctor node": "where", "doctor restart": "what", "acl for": "required", "acl consumer": "which users", "send to": "refused by send but with release", "doctor gentle": "how much", "doctor write": "where", "topics watch": "see bridge", "dashboard listen": "where", "send at-round": "when", "send pause": "refused by send but with resume",
	"bench round params": "a size", "bench round sites": "a number", "bench round rounds": "a number", "bench round profile": "where", "bench round trace": "a flag", "bench round changed": "a share", "bench round strategy": "which one", "bench scale points": "a list", "bench scale rounds": "a number", "bench scale picture": "where", "bench fold params": "a size", "bench fold members": "a number", "bench fold strategy": "a list", "verify without": "whom",
	"bench codec params": "a size", "model get follow": "how long", "model get bulk": "which topics", "model put bulk": "which topics", "model put version": "a number", "model put force": "whether",
	"baseline example": "what", "baseline folds": "a number", "baseline group": "refused without folds", "baseline seeds": "a number", "baseline leave-site-out": "refused with folds",
	"baseline set": "a list", "baseline central": "which rows", "baseline metric": "refused if no site has it", "report csv": "how", "report mlflow": "where",
	"model export onnx": "where", "model export skeleton": "which graph", "predict column": "refused if the model has no such input", "predict only": "what",
	"predict separator": "how the file is written", "predict decimal": "how the file is written", "predict encoding": "how the file is written", "predict missing": "a list",
	"predict comment": "how the file is written", "predict site": "where", "predict unit": "refused if the model has no such input",
}

// Every flag that is given and has no effect is refused.
func TestVoidFlags(t *testing.T) {
	racing.Alone(t)
	t.Parallel()
	p, err := newParser(&cli{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Model.Leaves(true) {
		command := strings.TrimPrefix(n.Path(), "fedmq ")
		if i := strings.Index(command, " <"); i >= 0 {
			command = command[:i]
		}
		for _, group := range n.AllFlags(false) {
			for _, f := range group {
				ruled := slices.ContainsFunc(flagRules, func(r flagRule) bool {
					return slices.Contains(r.flags, f.Name) && (r.command == "" || r.command == command)
				})
				_, one := alwaysFlags[command+" "+f.Name]
				_, all := alwaysFlags[f.Name]
				if !ruled && !one && !all {
					t.Errorf("%s: the flag --%s is new, and nobody has said beside which flags it has no effect: give it a line in flagRules (void_flags.go), "+
						"or in alwaysFlags (void_test.go) say why there is none", command, f.Name)
				}
				for _, r := range flagRules {
					if slices.Contains(r.flags, f.Name) && (r.command == command || r.command == "") {
						tryRule(t, n, r, f.Name, command)
					}
				}
			}
		}
	}
}

// tryRule breaks one rule of a command by one of its flags.
func tryRule(t *testing.T, n *kong.Node, r flagRule, flag, command string) {
	t.Helper()
	if flag == "cert" && command == "broker" && r.command == "" || flag == "key" && command == "broker" {
		return // its needs are those of the listeners
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	given := map[string]bool{flag: true}
	if r.not != "" {
		given[r.not] = true
	}
	args := strings.Fields(command)
	for _, group := range n.AllFlags(false) {
		for _, f := range group {
			switch {
			case !given[f.Name] && !f.Required:
			case f.IsBool():
				args = append(args, "--"+f.Name)
			case f.Enum != "":
				first, _, _ := strings.Cut(strings.TrimLeft(f.Enum, ","), ",")
				args = append(args, "--"+f.Name+"="+first)
			case f.Name == "bridge":
				args = append(args, "--bridge=mosquitto")
			case f.Name == "ws-header":
				args = append(args, "--ws-header=X-Key="+file)
			case f.Name == "round":
				args = append(args, "--round=1")
			case f.Name == "wait" || f.Name == "timeout" || f.Name == "exec-timeout":
				args = append(args, "--"+f.Name+"=1s")
			default:
				args = append(args, "--"+f.Name+"="+file)
			}
		}
	}
	for _, a := range n.Positional {
		if a.Required || given["<"+a.Name+">"] {
			args = append(args, map[bool]string{true: "pause", false: file}[command == "send"])
		}
	}
	p, err := newParser(&cli{}, func(int) {}) // one for each call: a file's name is read once
	if err != nil {
		t.Fatal(err)
	}
	k, err := p.Parse(args)
	if err != nil {
		t.Errorf("%q: %v", args, err)
		return
	}
	if err := checkFlags(k); err == nil || !strings.Contains(err.Error(), dashed(flag)+" has no effect") {
		t.Errorf("%q: %v, want that %s has no effect", args, err, dashed(flag))
	}
}

// pemPair makes a key, private and public.
func pemPair(t *testing.T) (private, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: a})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b}))
}
