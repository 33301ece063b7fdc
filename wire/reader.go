package wire

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reader takes a message apart field by field. It keeps the first refusal and
// then returns zero values, so that a decoder is a list of fields with one
// check at the end. It allocates nothing but the strings it returns, and what
// it returns of a bin aliases the message.
type reader struct {
	b     []byte
	off   int
	stage int    // of its refusals
	what  string // "order", "header" ...
	err   *Refusal
	lacks []string // members that this version does not know, or does not use
}

// open scans body and starts a reader on it.
func open(body []byte, what string, lim ScanLimits) *reader {
	r := &reader{b: body, stage: StageDecode, what: what}
	if bad, at := scan(body, lim); bad != "" {
		r.err = refuse(ReasonMalformed, StageScan, "%s: %s, at byte %d of %d", what, bad, at, len(body))
	}
	return r
}

// refuse keeps the first refusal.
func (r *reader) refuse(reason string, stage int, format string, args ...any) {
	if r.err == nil {
		r.err = refuse(reason, stage, r.what+": "+format, args...)
	}
}

func (r *reader) malformed(format string, args ...any) {
	r.refuse(ReasonMalformed, r.stage, format, args...)
}

// close reports the first refusal, or bytes that are left.
func (r *reader) close() error {
	if r.err == nil && r.off != len(r.b) {
		r.malformed("%s", badTrailing)
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// token reads one head of the kind wanted, and for a str or bin checks that
// its bytes are there.
func (r *reader) token(field string, kind tokenKind) (token, bool) {
	if r.err != nil {
		return token{}, false
	}
	t, bad := next(r.b[r.off:])
	if bad == "" && t.kind == kind {
		bad = fits(t, r.b[r.off+t.size:])
	}
	if bad != "" {
		r.malformed("%s: %s, at byte %d", field, bad, r.off)
		return token{}, false
	}
	if t.kind != kind {
		r.malformed("%s: want %s, got %s, at byte %d", field, tokenNames[kind], tokenNames[t.kind], r.off)
		return token{}, false
	}
	r.off += t.size
	return t, true
}

// array reads the head of an array of exactly want items.
func (r *reader) array(field string, want int) {
	if t, ok := r.token(field, tokArray); ok && t.n != uint64(want) {
		r.malformed("%s: want %d items, got %d", field, want, t.n)
	}
}

// count reads the head of an array of at most most items.
func (r *reader) count(field string, most int) int {
	t, ok := r.token(field, tokArray)
	if ok && t.n > uint64(most) {
		r.malformed("%s: want at most %d items, got %d", field, most, t.n)
	}
	if r.err != nil {
		return 0
	}
	return int(t.n)
}

func (r *reader) uint(field string, most uint64) uint64 {
	t, ok := r.token(field, tokUint)
	if ok && t.n > most {
		r.malformed("%s: want at most %d, got %d", field, most, t.n)
		return 0
	}
	return t.n
}

func (r *reader) uint32(field string) uint32 { return uint32(r.uint(field, math.MaxUint32)) }
func (r *reader) uint64(field string) uint64 { return r.uint(field, math.MaxUint64) }

// int reads an integer of either sign within [-most, most].
func (r *reader) int(field string, most int64) int {
	if r.err == nil && r.off < len(r.b) {
		if t, bad := next(r.b[r.off:]); bad == "" && t.kind == tokInt {
			r.off += t.size
			if int64(t.n) < -most {
				r.malformed("%s: want at least %d, got %d", field, -most, int64(t.n))
				return 0
			}
			return int(int64(t.n))
		}
	}
	return int(r.uint(field, uint64(most)))
}

// float reads a float64; the value may be anything, NaN too.
func (r *reader) float(field string) float64 {
	t, _ := r.token(field, tokFloat)
	return math.Float64frombits(t.n)
}

// raw reads the bytes of a str of at most most bytes, aliased.
func (r *reader) raw(field string, most int) []byte {
	t, ok := r.token(field, tokStr)
	if !ok {
		return nil
	}
	if t.n > uint64(most) {
		r.malformed("%s: want at most %d bytes, got %d", field, most, t.n)
		return nil
	}
	r.off += int(t.n)
	return r.b[r.off-int(t.n) : r.off : r.off]
}

func (r *reader) str(field string, most int) string { return string(r.raw(field, most)) }

// text reads a str that may be shown to a person: printable, at most most
// bytes.
func (r *reader) text(field string, most int) string {
	b := r.raw(field, most)
	if r.err == nil && !printable(b) {
		r.malformed("%s: want printable text", field)
	}
	return string(b)
}

// word reads a name of a closed list or of a strategy: [a-z0-9_-]{1,64}.
func (r *reader) word(field string) string {
	b := r.raw(field, maxWord)
	if r.err == nil && !isWord(string(b)) {
		r.malformed("%s: want a word of [a-z0-9_-]{1,64}, got %s", field, short(string(b)))
	}
	return string(b)
}

// bin reads a bin, aliased. With sizes, its length must be one of them.
func (r *reader) bin(field string, sizes ...int) []byte {
	t, ok := r.token(field, tokBin)
	if !ok {
		return nil
	}
	n := int(t.n)
	if len(sizes) > 0 && !slices.Contains(sizes, n) {
		r.malformed("%s: want %d bytes, got %d", field, sizes[0], n)
		return nil
	}
	r.off += n
	return r.b[r.off-n : r.off : r.off]
}

// fixed reads a bin of len(dst) bytes into dst; where absent is allowed also
// one of 0 bytes, which leaves dst zero. All zeros must then be written as
// absent: one value, one form (W-4).
func (r *reader) fixed(field string, dst []byte, absent bool) {
	if !absent {
		copy(dst, r.bin(field, len(dst)))
		return
	}
	b := r.bin(field, len(dst), 0)
	copy(dst, b)
	if len(b) > 0 && allZero(b) {
		r.malformed("%s: all zeros, want 0 bytes for absent", field)
	}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// appendFixed is the inverse of fixed with absent.
func appendFixed(b, v []byte) []byte {
	if allZero(v) {
		return appendBin(b, nil)
	}
	return appendBin(b, v)
}

const maxWord = 64

func isWord(s string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func printable(b []byte) bool {
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n <= 1 || !unicode.IsPrint(c) {
			return false
		}
		b = b[n:]
	}
	return true
}

// clean makes s fit for text: what is not printable becomes "?", and the end
// is cut at a whole character.
func clean(s string, most int) string {
	if len(s) <= most && printable([]byte(s)) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			c = '?'
		}
		if b.Len()+utf8.RuneLen(c) > most {
			break
		}
		b.WriteRune(c)
	}
	return b.String()
}
