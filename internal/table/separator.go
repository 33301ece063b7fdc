package table

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// separators are those that are looked for. One that people write for nothing else
// goes before the comma, which decimal commas and sentences have too.
var separators = []rune{';', '\t', '|', ','}

// separatorName is how people call one.
func separatorName(r rune) string {
	switch r {
	case ';':
		return "semicolons"
	case '\t':
		return "tabs"
	case ',':
		return "commas"
	}
	return fmt.Sprintf("%q", string(r))
}

// Validate returns a *KeyError for the first value that cannot be used.
func (f Format) Validate() error {
	if _, err := f.separator(); err != nil {
		return err
	}
	if f.Decimal != "" && f.Decimal != "." && f.Decimal != "," {
		return &KeyError{"decimal", fmt.Sprintf("want \".\" or \",\", not %q", f.Decimal)}
	}
	if s, _ := f.separator(); f.Decimal != "" && string(s) == f.Decimal && f.Decimal == "." {
		return &KeyError{"decimal", "is the separator too"}
	}
	if r, n := utf8.DecodeRuneInString(f.Comment); f.Comment != "" && (n != len(f.Comment) || !separable(r)) {
		return &KeyError{"comment", fmt.Sprintf("want one character, such as #, not %q", f.Comment)}
	}
	if f.Comment != "" && f.Comment == f.Separator {
		return &KeyError{"comment", "is the separator too"}
	}
	if f.Encoding != "" {
		if _, err := encodingOf(f.Encoding); err != nil {
			return err
		}
	}
	return nil
}

// separator is the one that is given; 0 if none is.
func (f Format) separator() (rune, error) {
	switch f.Separator {
	case "":
		return 0, nil
	case "tab", `\t`:
		return '\t', nil
	}
	r, n := utf8.DecodeRuneInString(f.Separator)
	if n != len(f.Separator) || !separable(r) || '0' <= r && r <= '9' {
		return 0, &KeyError{"separator", fmt.Sprintf("want one character, or tab, not %q", f.Separator)}
	}
	return r, nil
}

// separable reports that package csv takes a character.
func separable(r rune) bool {
	return r != '"' && r != '\r' && r != '\n' && r != utf8.RuneError && r != 0
}

// start is what stands before the header, and how cells are separated.
type start struct {
	bytes, lines int // before the header
	separator    rune
	comment      string
}

// sepLine is what Excel takes as the separator, in the first line of a file.
var sepLine = regexp.MustCompile(`(?i)^"?sep=(.)"?\s*$`)

// sampleLines are looked at to find the separator.
const sampleLines = 20

// begin looks at the head of a file: sep=, lines of comment, the separator.
func begin(head string, f Format) start {
	given, _ := f.separator()
	s := start{separator: given, comment: f.Comment}
	pass := func() {
		line, _, _ := strings.Cut(head, "\n")
		n := min(len(line)+1, len(head))
		head, s.bytes, s.lines = head[n:], s.bytes+n, s.lines+1
	}
	first, _, _ := strings.Cut(head, "\n")
	if m := sepLine.FindStringSubmatch(strings.TrimSuffix(first, "\r")); m != nil {
		if r, _ := utf8.DecodeRuneInString(m[1]); given == 0 && separable(r) {
			s.separator = r
		}
		pass()
	}
	lines := sample(head, f.Comment)
	marked := 0 // lines before the header that begin with #
	for f.Comment == "" && marked < len(lines)-1 && strings.HasPrefix(lines[marked], "#") {
		marked++
	}
	if s.separator == 0 {
		s.separator = findSeparator(lines[marked:])
	}
	if marked > 0 && count(lines[marked-1], s.separator) == count(lines[marked], s.separator) {
		marked-- // #time,temp is a header
	}
	for range marked {
		for strings.TrimSpace(strings.SplitN(head, "\n", 2)[0]) == "" && head != "" {
			pass()
		}
		pass()
	}
	if marked > 0 {
		s.comment = "#"
	}
	return s
}

// sample returns the first lines that are no comment and not empty.
func sample(head, comment string) (lines []string) {
	for line := range strings.Lines(head) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || comment != "" && strings.HasPrefix(line, comment) {
			continue
		}
		if lines = append(lines, line); len(lines) == sampleLines {
			break
		}
	}
	return lines
}

// findSeparator returns what stands in the header and as often in most lines, or
// else what the header has most of.
func findSeparator(lines []string) rune {
	if len(lines) == 0 {
		return ','
	}
	best, most := ',', 0
	for _, sep := range separators {
		header, fit := count(lines[0], sep), 0
		for _, line := range lines[1:] {
			if count(line, sep) >= header {
				fit++
			}
		}
		if header > 0 && 2*fit >= len(lines)-1 {
			return sep
		}
		if header > most {
			best, most = sep, header
		}
	}
	return best
}

// count is how often a separator stands in a line outside of quotes.
func count(line string, sep rune) (n int) {
	quoted := false
	for _, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case r == sep && !quoted:
			n++
		}
	}
	return n
}
