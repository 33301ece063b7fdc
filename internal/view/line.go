package view

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes a text one printable line of at most so many bytes.
func Line(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	cut := min(len(s), most)
	for cut < len(s) && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
