package wire

import (
	"fmt"
	"strings"
)

// A body ends with its members (W-44): a map, by name, of what it says beyond its
// fixed fields. Most bodies have none. A name that begins with a question mark may be
// passed over by who does not know it; any other that is not known, or known and not
// used by this version, is refused by its name.

// Bounds of the members of a body.
const (
	maxMembers = 64
	maxMember  = 33 // bytes of a name
	// membersRoom is what the members of a model or an update may take: the bounds
	// that a receiver derives from its schema allow for so much.
	membersRoom = 1 << 10
)

// member is one of them, declared once for writing, reading and checking.
type member struct {
	name  string
	used  bool // this version acts on it
	value value
}

// value is where a member's value is.
type value interface {
	set() bool    // it is there
	check() error // and has a value that the format has
	put(b []byte) []byte
	get(r *reader, name string)
}

// appendMembers writes those of a list that are set; the list ascends by names.
func appendMembers(b []byte, list []member) []byte {
	n := 0
	for _, m := range list {
		if m.value.set() {
			n++
		}
	}
	b = appendMap(b, n)
	for _, m := range list {
		if m.value.set() {
			b = m.value.put(appendStr(b, m.name))
		}
	}
	return b
}

// checkMembers is Encode's check of them: what this version does not use it does
// not send.
func checkMembers(list []member) error {
	var unused []string
	for _, m := range list {
		if !m.value.set() {
			continue
		}
		if err := m.value.check(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if !m.used {
			unused = append(unused, m.name)
		}
	}
	if len(unused) > 0 {
		return refuse(ReasonUnsupported, StageDecode, "%s: this version does not use it", strings.Join(unused, ", "))
	}
	return nil
}

// members reads the last element of a body, and notes what this version lacks.
func (r *reader) members(list []member) {
	t, ok := r.token("members", tokMap)
	if ok && t.n > maxMembers {
		r.malformed("members: want at most %d, got %d", maxMembers, t.n)
	}
	for i := uint64(0); i < t.n && r.err == nil; i++ {
		name := r.str("member", maxMember)
		if word := strings.TrimPrefix(name, "?"); r.err == nil && (!isWord(word) || len(word) == maxMember) {
			r.malformed("member %s: want a word of [a-z0-9_-]{1,32}, or ? and one", short(name))
			return
		}
		r.member(name, list)
	}
}

// member reads the value of one.
func (r *reader) member(name string, list []member) {
	for _, m := range list {
		if m.name == name {
			m.value.get(r, name)
			if !m.used {
				r.lacks = append(r.lacks, name)
			}
			if err := m.value.check(); err != nil && r.err == nil {
				r.malformed("%s: %v", name, err)
			}
			return
		}
	}
	if !strings.HasPrefix(name, "?") {
		r.lacks = append(r.lacks, name)
	}
	r.skip()
}

// skip passes over one value of a body that was scanned.
func (r *reader) skip() {
	for left := uint64(1); left > 0 && r.err == nil; left-- {
		t, bad := next(r.b[r.off:])
		if bad == "" {
			bad = fits(t, r.b[r.off+t.size:])
		}
		if bad != "" {
			r.malformed("%s, at byte %d", bad, r.off)
			return
		}
		r.off += t.size
		switch t.kind {
		case tokStr, tokBin:
			r.off += int(t.n)
		case tokArray:
			left += t.n
		case tokMap:
			left += 2 * t.n
		}
	}
}

// lacking reports what a body that is whole asks of a version after this one.
func (r *reader) lacking() error {
	if len(r.lacks) == 0 {
		return nil
	}
	return refuse(ReasonUnsupported, StageDecode, "%s: %s: this version lacks that", r.what, strings.Join(r.lacks, ", "))
}
