package table

import (
	"strconv"
	"strings"
	"time"
)

// Canonical is a cell as every file has it that says the same: a number in its shortest
// form, a time in UTC, a truth in small letters, nothing for a missing value. It is
// for comparing: what is no number for a site may become one here.
func (t *Table) Canonical(i int) string {
	cell := t.Text(i)
	if t.Missing(cell) {
		return ""
	}
	if text := strings.Replace(cell, "\u2212", "-", 1); plain.MatchString(text) {
		if v, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64); err == nil {
			return strconv.FormatFloat(v+0, 'g', -1, 64)
		}
	}
	if v, ok := Time(cell); ok {
		return v.UTC().Format(time.RFC3339Nano)
	}
	switch small := strings.ToLower(cell); small {
	case "true", "false":
		return small
	}
	return cell
}

// Like is the same of texts that may be one: that differ in capital letters and blanks
// alone, or are one whole number with and without a decimal mark. 010 is not 10.
func Like(s string) string {
	if plain.MatchString(s) && !strings.ContainsAny(s, "eE") {
		if whole, digits, ok := strings.Cut(strings.Replace(s, ",", ".", 1), "."); ok && strings.Trim(digits, "0") == "" {
			return whole
		}
		return s
	}
	return strings.Join(strings.Fields(strings.ToLower(Name(s))), "")
}

// Alike are pairs of texts that may be one, each with the first that it is like.
func Alike(texts []string) (pairs [][2]string) {
	first := map[string]string{}
	for _, s := range texts {
		if other, there := first[Like(s)]; there {
			pairs = append(pairs, [2]string{other, s})
		} else {
			first[Like(s)] = s
		}
	}
	return pairs
}
