package table

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// words stand for a missing value, in small letters: as pandas, SQL, .NET, C and Excel
// (in English and German) write one. What package strconv reads as NaN is one too.
var words = wordSet("na", "n/a", "#n/a", "#na", "#n/a n/a", "<na>", "null", "none", "nil", `\n`, "-", "--", "?",
	"-nan", "+nan", "-nan(ind)", "nan(ind)", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "1.#snan",
	"#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "#nv", "#wert!", "#bezug!", "#zahl!", "#name!")

// states are what historians have in place of a number. In a column of texts they
// may be values.
var states = wordSet("bad", "bad input", "bad data", "no data", "no good data", "i/o timeout", "pt created", "comm fail", "calc failed",
	"scan off", "intf shut", "not connect", "shutdown")

// IsState reports that a text among numbers is a historian's word for none.
func IsState(text string) bool { return states[strings.ToLower(text)] }

func wordSet(list ...string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, w := range list {
		set[w] = true
	}
	return set
}

// cells reads the cells of one file.
type cells struct {
	format    Format
	own       []string // further words for a missing value
	ownSet    map[string]bool
	decimal   byte   // 0 until a cell tells
	seen      string // the cell that told; "" if the configuration did
	separator rune
	times     int8 // of an order: 1 times, -1 numbers, 0 not known yet
}

func newCells(f Format) cells {
	c := cells{format: f, own: f.Missing, separator: ','}
	if len(f.Missing) > 0 {
		c.ownSet = map[string]bool{}
	}
	for _, w := range f.Missing {
		c.ownSet[strings.TrimSpace(w)] = true
	}
	if f.Decimal != "" {
		c.decimal = f.Decimal[0]
	}
	return c
}

func (c *cells) about() string {
	if c.decimal == ',' {
		return "decimal commas"
	}
	return ""
}

func (c *cells) missing(text string) bool {
	if text == "" || c.ownSet[text] || words[strings.ToLower(text)] {
		return true
	}
	v, err := strconv.ParseFloat(text, 64)
	return err == nil && math.IsNaN(v)
}

// plain is a decimal number, with either mark.
var plain = regexp.MustCompile(`^[-+]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][-+]?[0-9]+)?$`)

// number reads a cell; at says where it is.
func (c *cells) number(cell string, at func() string) (float64, error) {
	if cell == "" || c.ownSet[cell] {
		return math.NaN(), nil
	}
	if v, err := strconv.ParseFloat(cell, 64); err == nil && !math.IsInf(v, 0) && !strings.ContainsAny(cell, "xX_") {
		if math.IsNaN(v) || c.decimal == '.' || strings.IndexByte(cell, '.') < 0 {
			return v, nil
		}
		return v, c.mark('.', cell, at)
	}
	switch small := strings.ToLower(cell); {
	case words[small], states[small]:
		return math.NaN(), nil
	case small == "true":
		return 1, nil
	case small == "false":
		return 0, nil
	}
	return c.odd(cell, at)
}

// CellError means one cell that is no number, or none to work with, where others of its
// column may be: it says nothing of how the file is written.
type CellError struct {
	At      string // file:line:column
	Problem string // with the key that helps
}

func (e *CellError) Error() string { return e.At + ": " + e.Problem }

// odd reads a number that package strconv does not, or says why it is none.
func (c *cells) odd(cell string, at func() string) (float64, error) {
	text := strings.Replace(cell, "\u2212", "-", 1) // the minus of typesetters
	if !plain.MatchString(text) {
		if numberLike.FindString(cell) == cell { // how all are written
			return 0, fmt.Errorf("%s: %.40q is no number as they are read: want no gaps, and no marks between thousands", at(), cell)
		}
		return 0, &CellError{at(), c.notNumber(cell)}
	}
	if strings.IndexByte(text, ',') >= 0 {
		if c.decimal == 0 && c.unclear(text) {
			return 0, fmt.Errorf("%s: %.40q may have a decimal comma, or thousands: want %s for the first; the second is not read", at(), cell, c.format.key("decimal", ","))
		}
		if err := c.mark(',', cell, at); err != nil {
			return 0, err
		}
		text = strings.Replace(text, ",", ".", 1)
	} else if strings.IndexByte(text, '.') >= 0 {
		if err := c.mark('.', cell, at); err != nil {
			return 0, err
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, &CellError{at(), c.notFinite(cell)}
	}
	return v, nil
}

// thousands are groups of three digits.
var thousands = regexp.MustCompile(`^[-+]?[1-9][0-9]{0,2},[0-9]{3}$`)

// unclear reports that nothing says that a comma is a decimal one: where semicolons
// separate it is, since that is what they are for.
func (c *cells) unclear(text string) bool {
	return c.separator == ',' || c.separator != ';' && thousands.MatchString(text)
}

// mark notes which decimal mark a cell has: a file has one.
func (c *cells) mark(m byte, cell string, at func() string) error {
	if c.decimal == 0 {
		c.decimal, c.seen = m, fmt.Sprintf("%.40q at %s", cell, at())
	}
	if c.decimal == m {
		return nil
	}
	if c.seen == "" {
		return fmt.Errorf("%s: %.40q has not the decimal mark that is given (%s)", at(), cell, c.format.key("decimal", string(c.decimal)))
	}
	return fmt.Errorf("%s: %.40q has another decimal mark than %s: which is it? (%s or %q)", at(), cell, c.seen, c.format.key("decimal", "."), ",")
}

// numberLike are numbers that are written for people.
var numberLike = regexp.MustCompile(`^[-+\x{2212}]?[0-9][0-9.,'’_\s]*`)

// notNumber says what a cell is instead of a number, and which key helps.
func (c *cells) notNumber(cell string) string {
	word := c.format.key("missing", short(cell))
	texts := "; if the column has texts: categories"
	switch {
	case c.format.Flags: // of a command that takes columns as they are
		texts = ""
	case c.format.Numbers:
		texts = "; if the column has texts, it cannot be counted: a task of statistics counts numbers, leave the column out of it"
	}
	switch {
	case isInfinite(cell):
		return c.notFinite(cell)
	case isTime(cell):
		if c.format.Flags {
			return fmt.Sprintf("%.40q is a time and no number", cell)
		}
		return fmt.Sprintf("%.40q is a time and no number: derive.order takes one", cell)
	case numberLike.MatchString(cell):
		return fmt.Sprintf("%.40q is a number with something behind it: want the number alone; if it stands for a missing value: %s", cell, word)
	}
	return fmt.Sprintf("%.40q is no number; if it stands for a missing value: %s%s", cell, word, texts)
}

func isInfinite(cell string) bool {
	v, err := strconv.ParseFloat(cell, 64)
	return errors.Is(err, strconv.ErrRange) || err == nil && math.IsInf(v, 0) || strings.Contains(strings.ToLower(cell), "1.#inf")
}

func (c *cells) notFinite(cell string) string {
	return fmt.Sprintf("%.40q is not a finite number; if it stands for a missing value: %s", cell, c.format.key("missing", short(cell)))
}

// short is a cell as errors show it.
func short(cell string) string { return fmt.Sprintf("%.40s", cell) }

// timeForms are those of ISO 8601 that people write.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999 Z07:00", "2006-01-02 15:04:05.999999999 -0700",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04Z07:00", "2006-01-02 15:04", time.DateOnly, "20060102T150405Z07:00", "20060102T150405",
}

// Time reads an ISO time; one without an offset counts as UTC. Seconds may have a
// decimal comma.
func Time(cell string) (time.Time, bool) {
	if len(cell) < len(time.DateOnly) || cell[0] < '0' || cell[0] > '9' {
		return time.Time{}, false
	}
	for _, form := range timeForms {
		if v, err := time.Parse(form, cell); err == nil {
			return v, true
		}
	}
	return time.Time{}, false
}

// dateLike is a date or a time as people write them, in any order of day and month.
var dateLike = regexp.MustCompile(`^([0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{2,4}([ T,].*)?|[0-9]{1,2}:[0-9]{2}(:[0-9.,]+)?( ?[aApP][mM])?)$`)

func isTime(cell string) bool { _, ok := Time(cell); return ok }

// order reads a cell that puts rows in order. A column has numbers or times, not both.
func (c *cells) order(cell string, at func() string) (float64, error) {
	if c.missing(cell) {
		return math.NaN(), nil
	}
	when, isTime := Time(cell)
	v, kind := float64(when.Unix())+float64(when.Nanosecond())/1e9, int8(1)
	if !isTime {
		var err error
		if v, err = c.number(cell, at); err != nil {
			return 0, fmt.Errorf("%s: %.40q is neither a number nor an ISO time such as 2026-01-31T13:05:00Z", at(), cell)
		}
		kind = -1
	}
	if c.times == 0 {
		c.times = kind
	}
	if c.times != kind {
		return 0, fmt.Errorf("%s: %.40q: the column has times and numbers: want one of them", at(), cell)
	}
	return v, nil
}
