package examples_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fedmq/fedmq/site"
)

// measurement is one input of telegraf.conf.
type measurement struct {
	name   string
	topics []string
	paths  []string        // in the JSON
	fields map[string]bool // produced, and tags
}

var (
	quoted  = regexp.MustCompile(`"([^"]*)"`)
	setting = regexp.MustCompile(`^(\w+) = (.*)$`)
)

// measurements reads telegraf.conf, which has one setting a line.
func measurements(t *testing.T) (list []measurement) {
	t.Helper()
	b, err := os.ReadFile("telegraf/telegraf.conf")
	check(t, err)
	var table, path string
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " # ")
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(line, "[]")
			if table == "inputs.mqtt_consumer" {
				list = append(list, measurement{fields: map[string]bool{}})
			}
			continue
		}
		kv := setting.FindStringSubmatch(line)
		if kv == nil || len(list) == 0 {
			continue
		}
		m := &list[len(list)-1]
		var values []string
		for _, v := range quoted.FindAllStringSubmatch(kv[2], -1) {
			values = append(values, v[1])
		}
		switch kv[1] {
		case "name_override":
			m.name = values[0]
		case "topics":
			m.topics = values
		case "timestamp_path":
			m.paths = append(m.paths, values[0])
		case "topic_tag":
			m.fields[values[0]] = true
		case "tags":
			for tag := range strings.SplitSeq(values[0], "/") {
				m.fields[tag] = true
			}
		case "path":
			path = values[0]
			m.paths = append(m.paths, path)
			m.fields[path] = true
		case "rename":
			delete(m.fields, path)
			m.fields[values[0]] = true
		}
	}
	return list
}

// Every filter is a watcher's and has messages, every key is in one of them.
func TestTelegraf(t *testing.T) {
	t.Parallel()
	said, list := watched(t), measurements(t)
	// How far a job is comes now and then: here its key is enough.
	whole, err := json.Marshal(site.Status{Progress: new(float64)})
	check(t, err)
	var status map[string]any
	check(t, json.Unmarshal(whole, &status))
	said["acme/well-01/sensors/_fl_v1/events/status"] = append(said["acme/well-01/sensors/_fl_v1/events/status"], status)
	if len(list) != 6 {
		t.Errorf("%d inputs", len(list))
	}
	for _, m := range list {
		for _, filter := range m.topics {
			isWatchers(t, filter)
		}
		if m.name == "" || len(m.paths) < 2 {
			t.Errorf("%+v", m)
		}
		for _, path := range m.paths {
			if !slices.ContainsFunc(m.topics, func(filter string) bool { return has(said, filter, path) }) {
				t.Errorf("%s: no message on %v has %s", m.name, m.topics, path)
			}
		}
	}
}

var (
	queried = regexp.MustCompile(`r\._measurement == "(\w+)"`)
	column  = regexp.MustCompile(`r\._field == "(\w+)"|r\.([a-z]\w*) ==|\[((?:"\w+",? ?)+)\]`)
)

// The dashboard asks for what telegraf.conf produces, and for no more.
func TestGrafana(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("telegraf/grafana/dashboard.json")
	check(t, err)
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Query string }
		}
	}
	check(t, json.Unmarshal(b, &d))
	list, used := measurements(t), map[string]bool{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			q := target.Query
			name := queried.FindStringSubmatch(q)
			i := -1
			if name != nil {
				i = slices.IndexFunc(list, func(m measurement) bool { return m.name == name[1] })
			}
			if i < 0 {
				t.Errorf("%s: telegraf.conf produces no such measurement: %s", p.Title, q)
				continue
			}
			used[name[1]] = true
			for _, c := range column.FindAllStringSubmatch(q, -1) {
				for field := range strings.FieldsFuncSeq(c[1]+" "+c[2]+" "+c[3], func(r rune) bool { return strings.ContainsRune(`", `, r) }) {
					if !list[i].fields[field] && !strings.HasPrefix(field, "_") {
						t.Errorf("%s: %s has no %q", p.Title, name[1], field)
					}
				}
			}
		}
	}
	if len(used) != len(list) {
		t.Errorf("the dashboard shows %v of %d measurements", used, len(list))
	}
}

// TestTelegrafRuns puts a federation through the program that FEDMQ_TELEGRAF
// names, and reads what it made of it.
func TestTelegrafRuns(t *testing.T) {
	program := os.Getenv("FEDMQ_TELEGRAF")
	if program == "" {
		t.Skip("FEDMQ_TELEGRAF is not set: make test-examples")
	}
	p := newPlant(t)
	dir := t.TempDir()
	out, conf := filepath.Join(dir, "out"), filepath.Join(dir, "file.conf")
	text := "[[outputs.file]]\nfiles = [\"" + out + "\"]\ndata_format = \"influx\"\n"
	check(t, os.WriteFile(conf, []byte(text), 0o600))
	cmd := exec.Command(program, "--config", "telegraf/telegraf.conf", "--config", conf)
	cmd.Env = append(os.Environ(), "FEDMQ_BROKER="+p.url)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	list := measurements(t)
	eventually(t, 30*time.Second, "telegraf's subscriptions", func() bool { return p.broker.Stats().Subscriptions >= int64(len(list)) })
	p.federate(t, 3)
	p.ended(t)
	for _, want := range []string{
		`(?m)^fedmq_state,node=acme/_fl_v1/state,role=aggregator online=1i,security="unsigned"`,
		`(?m)^fedmq_state,node=acme/well-01/sensors/_fl_v1/state,role=site online=1i`,
		`(?m)^fedmq_round,task=events .*phase="halted"`, `waiting_for="\[`, `(?m)^fedmq_round,task=events .*counted=2i`,
		`(?m)^fedmq_kpi,kpi=rmse,task=events value=1\.09`,
		`(?m)^fedmq_event,event=declined,member=well-02/sensors,task=events .*detail="[^"]*not now`,
		`(?m)^fedmq_record,task=events,verdict=committed .*round=4i`,
		`(?m)^fedmq_site,site=well-01,task=events .*samples=3i`, `(?m)^fedmq_site,site=well-02,task=events .*loss=0\.6`,
	} {
		re := regexp.MustCompile(want)
		eventually(t, 20*time.Second, want, func() bool {
			b, err := os.ReadFile(out)
			return err == nil && re.Match(b)
		})
	}
}
