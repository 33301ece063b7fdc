package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine bounds a line that is read back, in bytes.
const maxLine = 1 << 20

// hashLast is the SHA-256 of the last line of text, without its line feed; ""
// when there is none.
func hashLast(text []byte) string {
	text = bytes.TrimSuffix(text, []byte("\n"))
	if len(text) == 0 {
		return ""
	}
	sum := sha256.Sum256(text[bytes.LastIndexByte(text, '\n')+1:])
	return hex.EncodeToString(sum[:])
}

// lastHash is hashLast of a file.
func lastHash(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", err
	}
	end := make([]byte, min(info.Size(), maxLine))
	if _, err := f.ReadAt(end, info.Size()-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return hashLast(end), nil
}

// Checked is what [Verify] found in one file.
type Checked struct {
	Lines     int
	Torn      int    // lines that are none: a process died within them
	Continues string // hash of the line before its first, in another file; "": it begins a log
	Last      string // hash of its last line
}

// ErrChain is wrapped by what does not follow from the file before.
var ErrChain = errors.New("not the file that follows")

// Verify reads one file of a log. With before, it must begin where that file
// ends. It shows that no file is missing in between and that the end of none was
// cut off; what was changed in the middle of a file it cannot show.
func Verify(r io.Reader, before *Checked) (c Checked, err error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	for n := 1; in.Scan(); n++ {
		line := in.Bytes()
		c.Last = hashLast(line)
		var e Entry
		if json.Unmarshal(line, &e) != nil || e.Event == "" {
			c.Torn++
			continue
		}
		c.Lines++
		switch {
		case n == 1 && e.Event == Goes:
			c.Continues = e.SHA256
		case e.Event == Goes:
			return c, fmt.Errorf("line %d: %w: a line %s belongs at the beginning", n, ErrChain, Goes)
		}
	}
	if err := in.Err(); err != nil {
		return c, err
	}
	switch {
	case before == nil:
	case c.Continues == "":
		return c, fmt.Errorf("line 1: %w: it does not go on from another", ErrChain)
	case c.Continues != before.Last:
		return c, fmt.Errorf("line 1: %w: it goes on from a line with SHA-256 %.16s, the file before ends with %.16s", ErrChain, c.Continues, before.Last)
	}
	return c, nil
}
