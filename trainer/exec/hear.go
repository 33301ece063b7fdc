package exec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"sync/atomic"
)

// heard is a line from a program, read.
type heard struct {
	reply reply
	err   error // wraps ErrProtocol
}

// maxBraces is how many places of a line are tried as the beginning of a
// message that does not begin with its type.
const maxBraces = 64

// meant is how a message begins: damaged, it is an error and no text, or the
// agent would wait for it for ever.
var meant = regexp.MustCompile(`\{\s*"type"\s*:\s*"(hello|progress|done|error)"`)

// messageIn finds the message of a line: an object with a type, alone or
// behind text that was printed without a line feed. A line without one is
// text, all of it; so is a JSON value of the program's own, whatever it holds.
func messageIn(line []byte) (text, message []byte) {
	if typed(line) {
		return nil, line
	}
	if json.Valid(line) {
		return line, nil
	}
	if begin := meant.FindIndex(line); begin != nil {
		return line[:begin[0]], line[begin[0]:]
	}
	at := 0
	for range maxBraces {
		next := bytes.IndexByte(line[at:], '{')
		if next < 0 {
			break
		}
		at += next
		if typed(line[at:], typeHello, typeProgress, typeDone, typeError) {
			return line[:at], line[at:]
		}
		at++
	}
	return line, nil
}

// typed reports that b is one JSON object whose type is text, one of kinds
// (none: any).
func typed(b []byte, kinds ...string) bool {
	var head struct {
		Type *string `json:"type"`
	}
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' || json.Unmarshal(b, &head) != nil || head.Type == nil {
		return false
	}
	return kinds == nil || slices.Contains(kinds, *head.Type)
}

// ear turns standard output into messages; the rest is text for the log.
type ear struct {
	talk  *talk
	glued *atomic.Bool // said already
}

// hear reads one line, or head and tail of one that is longer than a message
// may be; there is nothing for the caller in text.
func (e ear) hear(line, tail []byte) (h heard, ok bool) {
	text, message := messageIn(line)
	switch {
	case tail != nil && message != nil:
		h.err = broken("standard output: a message longer than %d bytes", maxLine)
		return h, true
	case tail != nil: // a long text, which a message may end
		_, message = messageIn(tail)
	}
	if text = bytes.TrimSpace(text); len(text) > 0 {
		e.talk.line(text, tail != nil)
	}
	switch {
	case message == nil:
		return h, false
	case len(text) > 0 && !e.glued.Swap(true):
		e.talk.log.Warn().Msg("a message stood behind text that had no line feed and was found there: end what you print with one, or print to standard error")
	}
	h.reply, h.err = parseReply(message)
	return h, true
}

// read hears standard output to its end.
func (p *process) read(out io.Reader) {
	defer close(p.lines)
	buf, e := bufio.NewReaderSize(out, 64<<10), ear{talk: p.talk, glued: p.cfg.glued}
	for {
		line, tail, err := readLine(buf, maxLine)
		if err != nil {
			return
		}
		if len(line) == 0 {
			continue
		}
		h, ok := e.hear(line, tail)
		if !ok {
			continue
		}
		select {
		case p.lines <- h:
		case <-p.deaf:
		}
	}
}
