package table

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// text is what decodes a file.
type text struct {
	encoding string // "" until the first letter beyond ASCII tells
	found    *guess
}

// name is that of the encoding; "" for ASCII and UTF-8.
func (t *text) name() string {
	if t.found != nil {
		return t.found.name
	}
	return t.encoding
}

// decode returns in as UTF-8. Without a name the encoding is that of a byte order
// mark, UTF-16 where every other byte is zero, or what the first letter beyond ASCII
// is good in: UTF-8, else windows-1252, which Latin-1 is a part of.
func decode(in *bufio.Reader, name string) (io.Reader, *text, error) {
	head, _ := in.Peek(headBytes)
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = in.Discard(3)
		return in, &text{}, nil
	case bytes.HasPrefix(head, []byte("\xff\xfe")), name == "" && zeros(head, 1):
		return wide(in, unicode.LittleEndian), &text{encoding: "utf-16le"}, nil
	case bytes.HasPrefix(head, []byte("\xfe\xff")), name == "" && zeros(head, 0):
		return wide(in, unicode.BigEndian), &text{encoding: "utf-16be"}, nil
	case name == "":
		g := &guess{}
		return transform.NewReader(in, g), &text{found: g}, nil
	}
	e, err := encodingOf(name)
	if err != nil {
		return nil, nil, err
	}
	if canonical, _ := htmlindex.Name(e); canonical == "utf-8" { // whose decoder replaces what is none
		return transform.NewReader(in, encoding.UTF8Validator), &text{encoding: name}, nil
	}
	return e.NewDecoder().Reader(in), &text{encoding: name}, nil
}

func wide(in io.Reader, order unicode.Endianness) io.Reader {
	return unicode.UTF16(order, unicode.UseBOM).NewDecoder().Reader(in)
}

// zeros reports that the bytes at even or at odd places are zero, and no others:
// UTF-16 of letters that ASCII has.
func zeros(head []byte, odd int) bool {
	if len(head) < 4 {
		return false
	}
	for i, b := range head {
		if (b == 0) != (i%2 == odd) {
			return false
		}
	}
	return true
}

// encodingOf finds an encoding by one of the names that the web has for it.
func encodingOf(name string) (encoding.Encoding, error) {
	e, err := htmlindex.Get(name)
	if err != nil {
		return nil, &KeyError{"encoding", fmt.Sprintf("%q is not known; want a name such as utf-8, utf-16, windows-1252 or shift_jis", name)}
	}
	return e, nil
}

// guess passes ASCII on until a letter beyond it says what the encoding is.
type guess struct {
	name string
	rest transform.Transformer
}

func (g *guess) Reset() { *g = guess{} }

func (g *guess) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	if g.rest != nil {
		return g.rest.Transform(dst, src, atEOF)
	}
	n := 0
	for n < len(src) && n < len(dst) && src[n] < utf8.RuneSelf {
		n++
	}
	copy(dst, src[:n])
	switch {
	case n == len(src):
		return n, n, nil
	case n == len(dst):
		return n, n, transform.ErrShortDst
	case !atEOF && !utf8.FullRune(src[n:]):
		return n, n, transform.ErrShortSrc
	}
	if _, size := utf8.DecodeRune(src[n:]); size > 1 {
		g.rest = transform.Nop
	} else {
		g.name, g.rest = "windows-1252", charmap.Windows1252.NewDecoder()
	}
	nDst, nSrc, err = g.rest.Transform(dst[n:], src[n:], atEOF)
	return n + nDst, n + nSrc, err
}

// lineFeeds makes line feeds of the carriage returns that old programs end lines
// with.
type lineFeeds struct{ r io.Reader }

func (l lineFeeds) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, b := range p[:n] {
		if b == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

// onlyCR reports that lines end with carriage returns alone.
func onlyCR(head []byte) bool {
	return bytes.IndexByte(head, '\r') >= 0 && bytes.IndexByte(head, '\n') < 0
}

// recorder keeps the bytes of the row that is being read, which may have as many as a
// line at most.
type recorder struct {
	r    io.Reader
	buf  []byte
	from int64 // offset of buf[0]
	row  int64 // where the row begins
}

// maxRow bounds a row of a CSV file, in bytes.
const maxRow = 1 << 20

var errRow = fmt.Errorf("a row is longer than %d bytes: a quote may be open", maxRow)

func (r *recorder) Read(p []byte) (int, error) {
	if int64(len(r.buf))-(r.row-r.from) > maxRow {
		return 0, errRow
	}
	n, err := r.r.Read(p)
	r.buf = append(r.buf, p[:n]...)
	return n, err
}

// begin forgets what is before a row's offset.
func (r *recorder) begin(at int64) {
	r.row = at
	if done := at - r.from; done > maxRow/16 {
		r.buf = append(r.buf[:0], r.buf[done:]...)
		r.from = at
	}
}

// until is the row up to an offset.
func (r *recorder) until(at int64) []byte { return r.buf[r.row-r.from : at-r.from] }
