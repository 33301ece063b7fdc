package topics

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	levelWant = "1 to 64 bytes of UTF-8 without + # and control characters, not starting with _ or $"
	wordWant  = "[A-Za-z0-9_-]{1,64} not starting with _"
)

// hidden are the characters, beside the controls, that a level has none of (T-2):
// they cannot be seen, change how the text around them is shown, or are none. The
// joiners U+200C and U+200D are not among them: Persian is not written without.
var hidden = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1}, // soft hyphen
		{Lo: 0x061c, Hi: 0x061c, Stride: 1}, // Arabic letter mark
		{Lo: 0x180e, Hi: 0x180e, Stride: 1}, // Mongolian vowel separator
		{Lo: 0x200b, Hi: 0x200b, Stride: 1}, // zero width space
		{Lo: 0x200e, Hi: 0x200f, Stride: 1}, // marks of direction
		{Lo: 0x2028, Hi: 0x202e, Stride: 1}, // separators of lines and paragraphs, embeddings, overrides
		{Lo: 0x2060, Hi: 0x206f, Stride: 1}, // word joiner, isolates
		{Lo: 0xfdd0, Hi: 0xfdef, Stride: 1}, // no characters
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, // byte order mark
		{Lo: 0xfff9, Hi: 0xfffb, Stride: 1}, // annotations
	},
	R32:         []unicode.Range32{{Lo: 0xe0000, Hi: 0xe007f, Stride: 1}}, // tags
	LatinOffset: 1,
}

// levelFault says what keeps s from being a level name (T-2), "" if nothing does. What
// it says can be printed.
func levelFault(s string) string {
	switch {
	case s == "":
		return "an empty level"
	case len(s) > MaxLevel:
		return fmt.Sprintf("a level of %d bytes", len(s))
	case s[0] == '_' || s[0] == '$':
		return fmt.Sprintf("a level that starts with %q", s[0])
	case word(s):
		return ""
	case !utf8.ValidString(s):
		return "bytes that are not UTF-8"
	case strings.Trim(s, ".") == "":
		return "a level of dots alone"
	}
	for _, r := range s {
		if r == '+' || r == '#' || r < ' ' || r >= 0x7f && r <= 0x9f || r&0xfffe == 0xfffe || unicode.Is(hidden, r) {
			return fmt.Sprintf("%q (%U)", r, r)
		}
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return "a level with a blank at an end"
	}
	return ""
}

// levelsFault says what keeps s from being levels, at most so many; those of a filter
// may be "+".
func levelsFault(s string, most int, filter bool) string {
	switch n := strings.Count(s, "/") + 1; {
	case len(s) > MaxNode:
		return fmt.Sprintf("%d bytes", len(s))
	case n > most:
		return fmt.Sprintf("%d levels", n)
	}
	for rest, more := s, true; more; {
		var l string
		if l, rest, more = strings.Cut(rest, "/"); filter && l == "+" {
			continue
		}
		if f := levelFault(l); f != "" {
			return f
		}
	}
	return ""
}

// word reports whether s is a name that was made for fedmq, and not for a plant: of a
// kpi (T-8).
func word(s string) bool {
	if s == "" || len(s) > MaxLevel || s[0] == '_' {
		return false
	}
	for i := range len(s) {
		if !wordByte(s[i]) {
			return false
		}
	}
	return true
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// Escape writes a name as a part of an MQTT client id, or as a path below a folder
// (T-19): a byte other than of [A-Za-z0-9_/-] becomes % and two digits, as in a URL.
// No two names become one.
func Escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c == '/' || wordByte(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
