package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// write lays out the folder and says what was decided.
func (p *csvPlan) write(dir string) error {
	files := map[string]string{aggregatorName: p.aggregator()}
	for _, s := range p.sites {
		files[s.name+".yaml"] = p.site(s)
	}
	if err := fresh(dir, files); err != nil {
		return err
	}
	p.tell(dir)
	return nil
}

// bareText is what YAML reads as itself, in and out of a list.
var (
	bareText = regexp.MustCompile(`^\p{L}[\p{L}\p{N}_.°/-]*( [\p{L}\p{N}_.°/-]+)*$`)
	bareInt  = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	barePath = regexp.MustCompile(`^[\p{L}\p{N}_./-]*[\p{L}\p{N}]$`)
	yamlWord = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null|nan|inf)$`)
)

// scalar writes a text for YAML.
func scalar(s string) string {
	if bareText.MatchString(s) && !yamlWord.MatchString(s) || bareInt.MatchString(s) {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // <, > and & are letters in YAML
	if err := e.Encode(s); err != nil {
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// yamlPath writes the name of a file for YAML.
func yamlPath(s string) string {
	if barePath.MatchString(s) && strings.Contains(s, "/") && !strings.HasPrefix(s, "-") {
		return s
	}
	return scalar(s)
}

func scalars(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = scalar(s)
	}
	return strings.Join(out, ", ")
}

// inputs is how many numbers the model reads.
func (p *csvPlan) inputs() int {
	n := len(p.numbers)
	for _, t := range p.texts {
		n += len(t.values)
	}
	return n
}

// Settings that a person would begin with.
const (
	manyRows = 1000 // that a hidden layer learns from
	initRows = 5000 // of a site, beyond which one pass a round is enough
)

func (p *csvPlan) model() string {
	outputs, task, flat := 1, "regression", "linear"
	if p.classes != nil {
		outputs, task, flat = len(p.classes), "classification", "softmax"
	}
	if p.rows < manyRows {
		return fmt.Sprintf("{%s: {inputs: %d, outputs: %d}} # with 1000 rows and more: mlp", flat, p.inputs(), outputs)
	}
	return fmt.Sprintf("{mlp: {inputs: %d, hidden: [16], outputs: %d, task: %s, seed: 1}}", p.inputs(), outputs, task)
}

// epochs a round, more for fewer rows.
func (p *csvPlan) epochs() int { return max(1, min(5, initRows*len(p.sites)/max(p.rows, 1))) }

func (p *csvPlan) task() string { return taskName(p.target) }

func (p *csvPlan) aggregator() string {
	return fmt.Sprintf(`# The aggregator: it averages what the sites have trained. "fedmq up" runs all of
# this folder on one machine; this part alone is
#   fedmq aggregator -c %s
broker: tcp://127.0.0.1:1883 # of the plant
namespace: acme # of the company
data_dir: state/aggregator
tasks:
  - name: %s
    members: ["+"] # %s
    rounds: 20
    start_when: %d # sites welcomed
    quorum: %d
    deadline: 60s
    model: %s
    train: {epochs: %d, batch: 32, lr: 0.02, momentum: 0.9, l2: 1e-4, max_grad_norm: 5}
    statistics: zscore # every feature scaled by the mean and deviation of all sites
%s    seed: 1
`, aggregatorName, p.task(), p.siteList(), len(p.sites), len(p.sites), p.model(), p.epochs(), p.threshold())
}

// threshold is for a rare one of two classes: more probable than not is seldom.
func (p *csvPlan) threshold() string {
	if c, n := p.rarest(); len(p.classes) == 2 && n*10 < p.rows {
		return fmt.Sprintf("    threshold: f1 # of the probability of %s, which is rare; or recall>=0.9\n", oneLine(c))
	}
	return ""
}

func (p *csvPlan) siteList() string {
	names := make([]string, len(p.sites))
	for i, s := range p.sites {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

func (p *csvPlan) site(s *csvSite) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Site %s, with %s. Check it, or run it alone:
#   fedmq site -c %s.yaml --check
#   fedmq site -c %s.yaml
# Target and features are the same at every site, in this order.
broker: tcp://127.0.0.1:1883
namespace: acme
member: %s
data_dir: %s
tasks:
  - name: %s
    trainer:
      tabular:
        train: %s
`, s.name, amount(s.survey.Rows, "row"), s.name, s.name, scalar(s.name), yamlPath("state/"+s.name), p.task(), yamlPath(s.train))
	p.writeFormat(&b, s)
	if p.split != "" {
		fmt.Fprintf(&b, "        split: {column: %s} # train, test\n", scalar(p.split))
	} else {
		b.WriteString("        split: {share: 0.2} # of the rows are for testing, chosen by a hash of what is in them\n")
		if p.times {
			b.WriteString("        # Rows of one series are alike: for an honest test give a file of a later time instead, test: later.csv\n")
		}
	}
	p.writeColumns(&b, s)
	p.writeTarget(&b)
	p.writeFeatures(&b)
	b.WriteString("        zclip: 6 # standard deviations\n")
	if len(p.left) > 0 {
		b.WriteString("        # Left out:\n")
		for _, l := range p.left {
			fmt.Fprintf(&b, "        #   %s: %s\n", oneLine(l.name), l.why)
		}
	}
	return b.String()
}

// oneLine is a name that may stand in a comment.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// writeFormat writes how the files are written, where that is not plain.
func (p *csvPlan) writeFormat(b *strings.Builder, s *csvSite) {
	f := s.survey.Format
	for _, k := range []struct{ key, value string }{{"separator", f.Separator}, {"decimal", f.Decimal}, {"encoding", f.Encoding}, {"comment", f.Comment}} {
		if k.value == "" {
			continue
		}
		value := scalar(k.value)
		if k.key == "separator" && k.value == ";" {
			value = k.value
		}
		fmt.Fprintf(b, "        %s: %s\n", k.key, value)
	}
	if len(s.missing) > 0 {
		fmt.Fprintf(b, "        missing: [%s] # stand for a missing value\n", scalars(s.missing))
	}
}

func (p *csvPlan) writeTarget(b *strings.Builder) {
	if p.classes == nil {
		fmt.Fprintf(b, "        target: {column: %s, offset: %v, scale: %v} # about the mean and the deviation of all rows\n", scalar(p.target), p.offset, p.scale)
		return
	}
	fmt.Fprintf(b, "        target: {column: %s, classes: [%s]} # of all sites: %s\n", scalar(p.target), scalars(p.classes), p.classCounts())
}

// writeColumns writes which texts count as others.
func (p *csvPlan) writeColumns(b *strings.Builder, s *csvSite) {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.same)) {
		var pairs []string
		for _, text := range slices.Sorted(maps.Keys(p.same[name])) {
			if s.survey.Column(name).Values[text] > 0 {
				pairs = append(pairs, scalar(text)+": "+scalar(p.same[name][text]))
			}
		}
		if len(pairs) > 0 {
			fmt.Fprintf(&lines, "          %s: {values: {%s}}\n", scalar(name), strings.Join(pairs, ", "))
		}
	}
	if lines.Len() > 0 {
		b.WriteString("        columns: # texts that count as one\n" + lines.String())
	}
}

func (p *csvPlan) classCounts() string {
	out := make([]string, len(p.classes))
	for i, c := range p.classes {
		out[i] = fmt.Sprintf("%s %d", oneLine(c), p.counts[c])
	}
	return strings.Join(out, ", ")
}

// rarest is the class with the fewest rows.
func (p *csvPlan) rarest() (class string, n int) {
	n = p.rows
	for _, c := range p.classes {
		if p.counts[c] < n {
			class, n = c, p.counts[c]
		}
	}
	return class, n
}

// lineWidth of the lists of columns.
const lineWidth = 110

func (p *csvPlan) writeFeatures(b *strings.Builder) {
	b.WriteString("        features:\n")
	if len(p.numbers) > 0 {
		line := "          - columns: ["
		for i, name := range p.numbers {
			item := scalar(name)
			if i < len(p.numbers)-1 {
				item += ","
			}
			if len(line)+len(item) > lineWidth {
				b.WriteString(strings.TrimRight(line, " ") + "\n")
				line = "              "
			}
			line += item + " "
		}
		b.WriteString(strings.TrimRight(line, " ") + "]\n")
	}
	for _, t := range p.texts {
		fmt.Fprintf(b, "          - {columns: [%s], categories: [%s]}\n", scalar(t.name), scalars(t.values))
	}
}

// tell says on standard output what was decided.
func (p *csvPlan) tell(dir string) {
	fmt.Fprintf(stdout, "%s: %s (%s), %s.\n\n", dir, amount(len(p.sites), "site"), p.siteList(), amount(p.rows, "row"))
	if p.classes == nil {
		fmt.Fprintf(stdout, "  target    %s: a number, mean about %v, deviation about %v\n", p.target, p.offset, p.scale)
	} else {
		fmt.Fprintf(stdout, "  target    %s: %s\n", p.target, p.classCounts())
	}
	if p.empty > 0 {
		fmt.Fprintf(stdout, "            %s without one are left out\n", amount(p.empty, "row"))
	}
	if c, n := p.rarest(); n*10 < p.rows {
		fmt.Fprintf(stdout, "            %s is rare, %.1f %% of the rows: accuracy alone will tell little\n", c, 100*float64(n)/float64(p.rows))
	}
	if len(p.numbers) > 0 {
		fmt.Fprintf(stdout, "  numbers   %s\n", strings.Join(p.numbers, ", "))
	}
	for _, t := range p.texts {
		fmt.Fprintf(stdout, "  texts     %s: %s\n", t.name, strings.Join(t.values, ", "))
	}
	for _, l := range p.left {
		fmt.Fprintf(stdout, "  left out  %s: %s\n", l.name, l.why)
	}
	for _, s := range p.sites {
		p.notes = append(p.notes, s.survey.Notes...)
	}
	for _, n := range p.notes {
		fmt.Fprintf(stdout, "  note      %s\n", n)
	}
	fmt.Fprintf(stdout, "\nLook at the files in %s, which are yours to change.\n\nCheck it:  fedmq site -c %s/%s.yaml --check\nRun it:    fedmq up %s\n", dir, dir, p.sites[0].name, dir)
}

func amount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
