package sim

import "fmt"

// noteKind is what a line of the trace tells.
type noteKind uint8

const (
	noteFailure noteKind = iota
	noteFault
	noteCrash
	noteStart
	noteUp
	noteDown
	noteSend
	noteGot
	noteSave
	noteRecord
	noteTrain
	noteSeal
	noteDrop
	notePart
	noteQuiet
	noteEnd
)

var noteNames = [...]string{
	"FAILURE", "fault", "crash", "start", "up", "down", "send", "got", "save", "record", "train", "seal", "drop", "part", "quiet", "end",
}

// trace is what happened: a hash of all of it, and the last lines.
type trace struct {
	hash  uint64
	lines int
	keep  bool
	tail  [traceTail]line
}

const traceTail = 2000

type line struct {
	at      ms
	kind    noteKind
	node    int
	a, b, c uint64
	text    string
}

// note adds a line. What a, b and c say depends on the kind.
func (w *World) note(kind noteKind, node int, a, b, c uint64) {
	t := &w.trace
	h := t.hash
	for _, x := range [...]uint64{uint64(w.now), uint64(kind), uint64(node + 1), a, b, c} { // for the hash
		h = (h ^ x) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	t.hash = h
	if t.keep {
		t.tail[t.lines%traceTail] = line{at: w.now, kind: kind, node: node, a: a, b: b, c: c}
	}
	t.lines++
}

// say adds words to the line before, when somebody will read them.
func (w *World) say(format string, args ...any) {
	if w.trace.keep && w.trace.lines > 0 {
		w.trace.tail[(w.trace.lines-1)%traceTail].text = fmt.Sprintf(format, args...)
	}
}

// text is the end of the trace.
func (t *trace) text() []string {
	var out []string
	for i := max(0, t.lines-traceTail); i < t.lines; i++ {
		l := t.tail[i%traceTail]
		out = append(out, fmt.Sprintf("%9d %-7s node %2d  %d %d %x  %s", l.at, noteNames[l.kind], l.node, l.a, l.b, l.c, l.text))
	}
	return out
}

// noteMessage adds a line about a message.
func (w *World) noteMessage(kind noteKind, node int, m message) {
	t := m.topic
	var a, b uint64
	switch x := m.body.(type) {
	case *orderMsg:
		a, b = x.Epoch<<32|x.Round, uint64(x.Attempt)
	case *headMsg:
		a, b = x.round, x.hash
	case *modelMsg:
		a, b = x.version, short(x.content)
	case *updateMsg:
		a, b = x.round<<32|uint64(x.attempt), short(x.content)
	case *partMsg:
		a = uint64(x.Index)
	}
	w.note(kind, node, uint64(t.kind)<<32|uint64(uint32(t.a)), a, b) // for the hash
	if w.trace.keep {
		w.say("%s", m.text())
	}
}

var topicNames = [...]string{"order", "model", "record", "reply", "state", "modelpart", "join", "update", "part", "need", "presence"}

// text is a message in words.
func (m message) text() string {
	name := topicNames[m.topic.kind]
	switch b := m.body.(type) {
	case *orderMsg:
		return fmt.Sprintf("order (%d, %d, %d) %s from %d", b.Epoch, b.Round, b.Attempt, b.Work, b.ValidFrom)
	case *headMsg:
		return fmt.Sprintf("record (%d, %d) %s", b.round, b.attempt, b.verdict)
	case *modelMsg:
		return fmt.Sprintf("model %d %x in %d parts", b.version, b.content[:4], b.blob.Count())
	case *replyMsg:
		return fmt.Sprintf("reply to %d: %T%+v", m.topic.a, b.reply, b.reply)
	case *updateMsg:
		return fmt.Sprintf("update of %d (%d, %d) %x offer %v %s", m.topic.a, b.round, b.attempt, b.content[:4], b.offer, b.decline)
	case *partMsg:
		return fmt.Sprintf("%s %d %d: %d of %d", name, m.topic.a, m.topic.b, b.Index, b.Count)
	}
	return fmt.Sprintf("%s of %d", name, m.topic.a)
}
