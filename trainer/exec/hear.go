package exec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"sync/atomic"
)

// heard is a line from a program, read.
type heard struct {
	reply reply
	err   error // wraps ErrProtocol
}

// maxBraces is how many places of a line are tried as the beginning of a
// message.
const maxBraces = 64

// meant is how a line begins that is meant as a message: damaged, it is an
// error and no text, or the agent would wait for it for ever.
var meant = regexp.MustCompile(`^\s*\{\s*"type"\s*:\s*"(hello|progress|done|error)"`)

// messageIn finds the message of a line: an object with a type, alone or
// behind text that was printed without a line feed. A line without one is
// text, all of it.
func messageIn(line []byte) (text, message []byte) {
	if meant.Match(line) || typed(line, "") {
		return nil, line
	}
	at := 0
	for range maxBraces {
		next := bytes.IndexByte(line[at:], '{')
		if next < 0 {
			break
		}
		at += next
		if typed(line[at:], typeHello, typeProgress, typeDone, typeError) || at > 0 && meant.Match(line[at:]) {
			return line[:at], line[at:]
		}
		at++
	}
	return line, nil
}

// typed reports that b is one JSON object whose type is text, one of kinds
// ("": any).
func typed(b []byte, kinds ...string) bool {
	var head struct {
		Type *string `json:"type"`
	}
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' || json.Unmarshal(b, &head) != nil || head.Type == nil {
		return false
	}
	for _, kind := range kinds {
		if kind == "" || kind == *head.Type {
			return true
		}
	}
	return false
}

// ear turns standard output into messages; the rest is text for the log.
type ear struct {
	talk  *talk
	glued *atomic.Bool // said already
}

// hear reads one line; there is nothing for the caller in text.
func (e ear) hear(line []byte, cut bool) (h heard, ok bool) {
	text, message := messageIn(line)
	if len(text) > 0 {
		e.talk.line(text, cut && message == nil)
	}
	switch {
	case message == nil:
		return h, false
	case cut:
		h.err = broken("standard output: a message longer than %d bytes", maxLine)
		return h, true
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
		line, cut, err := readLine(buf, maxLine)
		if err != nil {
			return
		}
		if len(line) == 0 {
			continue
		}
		h, ok := e.hear(line, cut)
		if !ok {
			continue
		}
		select {
		case p.lines <- h:
		case <-p.deaf:
		}
	}
}
