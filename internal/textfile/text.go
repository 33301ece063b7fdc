// Package textfile reads text files as people have them: written on Windows too,
// as UTF-8 with a byte order mark, as UTF-16, with CR LF; and certificates and
// keys, which are refused with the command that helps. Start with Decode, KeyPair
// or Authorities. It never writes, and never says what a secret is.
package textfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode returns a text as UTF-8 with LF alone at the ends of its lines.
func Decode(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		b = b[3:]
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		b = fromUTF16(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		b = fromUTF16(b[2:], binary.BigEndian)
	case len(b) > 1 && b[0] != 0 && b[1] == 0: // the first letter of a text is ASCII here
		b = fromUTF16(b, binary.LittleEndian)
	case len(b) > 1 && b[0] == 0 && b[1] != 0:
		b = fromUTF16(b, binary.BigEndian)
	}
	switch {
	case bytes.IndexByte(b, 0) >= 0:
		return nil, errors.New("it has zero bytes, so it is no text")
	case !utf8.Valid(b):
		return nil, errors.New("it is neither UTF-8 nor UTF-16: save it as UTF-8")
	}
	return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), nil
}

// fromUTF16 turns UTF-16 into UTF-8; half a unit at the end is a mistake that
// stays one.
func fromUTF16(b []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	out := []byte(string(utf16.Decode(units)))
	if len(b)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

// FirstLine is the first line of a text: a password. One that is empty is an
// error, as is one that is no text.
func FirstLine(b []byte) (string, error) {
	text, err := Decode(b)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", errors.New("its first line is empty")
	}
	return line, nil
}
