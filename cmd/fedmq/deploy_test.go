package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/fedmq/fedmq/internal/metrics"
)

const deploy = "../../deploy"

// commands that a unit or a manifest runs are commands of this program, with
// flags it knows.
func checkCommand(t *testing.T, args []string) {
	t.Helper()
	dir := t.TempDir()
	for i, a := range args {
		from := strings.Index(a, "/etc/fedmq/")
		if from < 0 {
			continue
		}
		path := filepath.Join(dir, filepath.Base(a))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		args[i] = a[:from] + path
	}
	parser, err := kong.New(new(cli))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Errorf("fedmq %s: %v", strings.Join(args, " "), err)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob(filepath.Join(deploy, "systemd", "*.service"))
	if err != nil || len(units) != 3 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	for _, unit := range units {
		t.Run(filepath.Base(unit), func(t *testing.T) {
			t.Parallel()
			text := fileText(t, unit)
			commands := regexp.MustCompile(`(?m)^ExecStart(?:Pre)?=/usr/local/bin/fedmq (.*)$`).FindAllStringSubmatch(text, -1)
			if len(commands) == 0 {
				t.Fatal("starts nothing")
			}
			for _, c := range commands {
				checkCommand(t, strings.Fields(c[1]))
			}
			verifyUnit(t, filepath.Base(unit), text)
		})
	}
}

// verifyUnit has systemd read the unit, where there is a systemd.
func verifyUnit(t *testing.T, name, text string) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze")
	}
	path := filepath.Join(t.TempDir(), strings.Replace(name, "@", "@berlin", 1))
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "/usr/local/bin/fedmq", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "Unknown key") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// manifest is what this test looks at in a Kubernetes object. Everything else
// is checked against Kubernetes' own types in deploy/kubernetes/check.
type manifest struct {
	Kind string            `yaml:"kind"`
	Data map[string]string `yaml:"data"`
	Spec struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Args []string `yaml:"args"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

func manifests(t *testing.T, path string) (out []manifest) {
	t.Helper()
	for doc := range strings.SplitSeq(fileText(t, path), "\n---\n") {
		var m manifest
		if err := yaml.Unmarshal([]byte(doc), &m); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, m)
	}
	return out
}

// What the manifests run exists, and the configurations in them are right.
func TestManifests(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]any{"aggregator": new(aggregatorFile), "site": new(siteFile), "broker": nil} {
		containers, configs := 0, 0
		for _, m := range manifests(t, filepath.Join(deploy, "kubernetes", name+".yaml")) {
			for _, c := range m.Spec.Template.Spec.Containers {
				checkCommand(t, c.Args)
				containers++
			}
			for key, text := range m.Data {
				path := filepath.Join(t.TempDir(), key)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := loadYAML(path, file); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				configs++
			}
		}
		if containers != 1 || (file != nil) != (configs == 1) {
			t.Errorf("%s: %d containers, %d configurations", name, containers, configs)
		}
	}
	path := filepath.Join(deploy, "kubernetes", "aggregator.yaml")
	f := aggregatorFile{}
	if err := yaml.Unmarshal([]byte(manifests(t, path)[0].Data["aggregator.yaml"]), &f); err != nil {
		t.Fatal(err)
	}
	for _, task := range f.Tasks {
		if _, err := task.task(".", ""); err != nil {
			t.Error(err)
		}
	}
}

// The dashboard and the alerts ask for metrics that exist, with labels they have.
func TestMetricsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	labels := map[string][]string{}
	for _, s := range metrics.Reference() {
		for _, r := range s.Rows {
			labels[r.Name] = r.Labels
		}
	}
	asked := map[string]bool{}
	for _, expr := range append(panels(t), alerts(t)...) {
		for _, m := range regexp.MustCompile(`(fedmq_\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expr, -1) {
			asked[m[1]] = true
			known, ok := labels[m[1]]
			if !ok {
				t.Errorf("%s: no metric %s", expr, m[1])
				continue
			}
			for _, l := range regexp.MustCompile(`(\w+)\s*[=!]`).FindAllStringSubmatch(m[2], -1) {
				if !strings.Contains(" "+strings.Join(known, " ")+" ", " "+l[1]+" ") {
					t.Errorf("%s: %s has no label %s", expr, m[1], l[1])
				}
			}
		}
	}
	if len(asked) < 25 {
		t.Errorf("%d metrics are asked for: this test does not find them", len(asked))
	}
}

func panels(t *testing.T) (exprs []string) {
	t.Helper()
	var d struct {
		Panels []struct {
			ID      int    `json:"id"`
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(fileText(t, filepath.Join(deploy, "grafana", "fedmq.json"))), &d); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range d.Panels {
		if seen[p.ID] || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: %d targets", p.ID, p.Title, len(p.Targets))
		}
		seen[p.ID] = true
		for _, q := range p.Targets {
			exprs = append(exprs, q.Expr)
		}
	}
	return exprs
}

func alerts(t *testing.T) (exprs []string) {
	t.Helper()
	var f struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	text := fileText(t, filepath.Join(deploy, "prometheus", "alerts.yaml"))
	if err := yaml.UnmarshalWithOptions([]byte(text), &f, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	howto := fileText(t, "../../docs/howto/operate.md")
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Expr == "" || r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%+v", r)
			}
			if !strings.Contains(howto, "`"+r.Alert+"`") {
				t.Errorf("docs/howto/operate.md does not say what to do at %s", r.Alert)
			}
			exprs = append(exprs, r.Expr)
		}
	}
	return exprs
}

func fileText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
