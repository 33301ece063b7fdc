package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// step is one thing that a page has the test do.
type step struct {
	line    int
	verb    string // run, background, skip, output, expect, stop, kill
	name    string // of a block
	variant string // "": in every run of the page
	code    string // of a block
	text    string // lines of output, a regular expression, or the reason of a skip
}

func (s step) String() string {
	return strings.TrimSpace(fmt.Sprintf("line %d: %s %s", s.line, s.verb, s.name))
}

var (
	comment   = regexp.MustCompile(`^<!-- (run|background|skip|output of|expect|stop|kill)(?: ([a-z0-9-]+))?(?:, with ([a-z]+))?(?:: (.+))? -->$`)
	others    = regexp.MustCompile(`^<!-- (example|output|bridge):\S+ -->$`) // marks of other tests
	commands  = regexp.MustCompile(`(?m)^ *(\$|bin/fedmq|fedmq [a-z-]+ -|make|go run|git|pip|python3?|mosquitto(_sub)?) `)
	shellLike = []string{"bash", "shell", "console", "zsh", "shellsession"}
)

// parse reads a page. It refuses what would be a command that nobody runs.
func parse(page string) (steps []step, err error) {
	lines := strings.Split(page, "\n")
	var mark *step // the comment before this line
	for i := 0; i < len(lines); i++ {
		line, n := lines[i], i+1
		switch {
		case strings.HasPrefix(line, "```"):
			lang, first := strings.TrimPrefix(line, "```"), i+1
			for i++; i < len(lines) && lines[i] != "```"; i++ {
			}
			if i == len(lines) {
				return nil, fmt.Errorf("line %d: a fence that does not end", n)
			}
			s, err := fence(n, lang, strings.Join(lines[first:i], "\n"), mark)
			if err != nil {
				return nil, err
			}
			steps, mark = append(steps, s...), nil
		case mark != nil:
			return nil, fmt.Errorf("%v: want a fence in the next line", mark)
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			return nil, fmt.Errorf("line %d: want a fence at the begin of its line", n)
		case strings.HasPrefix(line, "    ") && (i == 0 || lines[i-1] == ""):
			return nil, fmt.Errorf("line %d: indented code; want a fence", n)
		case strings.HasPrefix(line, "<!--") && !others.MatchString(line):
			s, err := directive(n, line)
			if err != nil {
				return nil, err
			}
			if slices.Contains([]string{"expect", "stop", "kill"}, s.verb) {
				steps = append(steps, s)
			} else {
				mark = &s
			}
		}
	}
	return steps, check(steps)
}

// directive reads a comment.
func directive(n int, line string) (step, error) {
	m := comment.FindStringSubmatch(line)
	if m == nil {
		return step{}, fmt.Errorf("line %d: %s: not a comment of package pages", n, line)
	}
	s := step{line: n, verb: strings.TrimSuffix(m[1], " of"), name: m[2], variant: m[3], text: m[4]}
	if (s.verb == "skip") == (s.name != "") || (s.verb == "skip" || s.verb == "expect") != (s.text != "") {
		return s, fmt.Errorf("line %d: %s: want skip with a reason, expect with a name and an expression, others with a name", n, line)
	}
	if _, err := regexp.Compile(s.text); err != nil && s.verb == "expect" {
		return s, fmt.Errorf("line %d: %w", n, err)
	}
	return s, nil
}

// fence is what a fenced block of a language is to the test.
func fence(n int, lang, code string, mark *step) ([]step, error) {
	s := step{line: n, verb: "run"}
	if mark != nil {
		s = *mark
		s.line = n
	}
	switch {
	case lang == "sh" && s.verb != "output":
		s.code = code
		if s.name == "" {
			s.name = fmt.Sprintf("line-%d", n)
		}
		return []step{s}, nil
	case mark != nil && (lang != "" || s.verb != "output"):
		return nil, fmt.Errorf("%v: want a block ```sh, or ``` for output", mark)
	case slices.Contains(shellLike, lang):
		return nil, fmt.Errorf("line %d: ```%s: want ```sh", n, lang)
	case lang == "" && commands.MatchString(code):
		return nil, fmt.Errorf("line %d: %q in a fence that is not run; want ```sh", n, strings.TrimSpace(commands.FindString(code)))
	case mark == nil:
		return nil, nil
	}
	s.text = code
	return []step{s}, nil
}

// check looks at the names.
func check(steps []step) error {
	had := map[string]string{} // verbs by name and variant
	for _, s := range steps {
		known := had[s.name+"/"]
		if s.verb == "run" || s.verb == "background" {
			if known == s.verb && s.variant == "" {
				return fmt.Errorf("%v: the second of this name", s)
			}
			had[s.name+"/"] = s.verb
			continue
		}
		switch {
		case s.verb == "skip":
		case known == "":
			return fmt.Errorf("%v: no block before it has this name", s)
		case known == "run" && (s.verb == "stop" || s.verb == "kill"):
			return fmt.Errorf("%v: it ends by itself", s)
		}
	}
	return nil
}

// variants of a page; one without a name where it has none.
func variants(steps []step) []string {
	var out []string
	for _, s := range steps {
		if s.variant != "" && !slices.Contains(out, s.variant) {
			out = append(out, s.variant)
		}
	}
	if out == nil {
		return []string{""}
	}
	return out
}

func TestParse(t *testing.T) {
	t.Parallel()
	steps, err := parse(strings.Join([]string{
		"# Page", "<!-- example:x.go -->", "```go", "make x", "```",
		"```sh", "make", "```",
		"<!-- background b, with one -->", "```sh", "one", "```",
		"<!-- background b, with two -->", "```sh", "two", "```",
		"<!-- output of b -->", "```", "b is up", "```",
		"<!-- expect b: ^b -->", "<!-- stop b -->",
		"<!-- skip: it takes a year -->", "```sh", "wait", "```", "",
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(steps, variants(steps))
	want := "[line 6: run line-6 line 10: background b line 14: background b line 18: output b line 21: expect b line 22: stop b line 24: skip line-24] [one two]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	block := "```sh\nmake\n```"
	for _, tt := range []struct{ name, page, want string }{
		{"indented", "Text:\n\n    fedmq verify DIR\n", "line 3: indented code; want a fence"},
		{"other shell", "```bash\nmake\n```\n", "```bash: want ```sh"},
		{"no language", "```\nbin/fedmq up digits\n```\n", `"bin/fedmq" in a fence that is not run`},
		{"in a list", "- so:\n  ```sh\n  make\n  ```\n", "line 2: want a fence at the begin of its line"},
		{"no reason", "<!-- skip -->\n" + block, "want skip with a reason"},
		{"no name", "<!-- background -->\n" + block, "others with a name"},
		{"unknown", "<!-- daemon b -->\n" + block, "not a comment of package pages"},
		{"far", "<!-- background b -->\n\n" + block, "want a fence in the next line"},
		{"nobody", "<!-- stop b -->\n", "no block before it has this name"},
		{"twice", "<!-- run b -->\n" + block + "\n<!-- run b -->\n" + block, "the second of this name"},
		{"ends itself", "<!-- run b -->\n" + block + "\n<!-- stop b -->\n", "it ends by itself"},
		{"endless", "```sh\nmake\n", "a fence that does not end"},
		{"expression", "<!-- background b -->\n" + block + "\n<!-- expect b: ( -->\n", "missing closing )"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse(tt.page); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
