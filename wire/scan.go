package wire

import (
	"bytes"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting of arrays and maps, the outermost counted
// (W-2).
const MaxDepth = 8

// Item limits of the structure scan (W-2).
const (
	MaxItems      = 4096    // every message but those with a table
	MaxTableItems = 1 << 16 // model and update: 4,096 tensors of rank 8, their rules, 256 metrics
)

// ScanLimits bounds a scan. The zero value means MaxDepth and MaxItems; Depth
// is never more than MaxDepth.
type ScanLimits struct {
	Depth int // nesting, default and maximum 8
	Items int // scalars, arrays and maps together, default 4,096
}

// frame is an array or map whose items are not all read yet.
type frame struct {
	left uint64 // items to come; keys and values of a map both count
	key  []byte // a map's last key
	dict bool
	keys bool // a key has been read
}

// Scan checks that b is one msgpack message in fedmq's subset and its only
// form (W-1, W-2, W-3): depth and item count within the limits, every declared
// length within the bytes left, shortest forms, UTF-8 strings, map keys that
// ascend, and nothing after it. It neither recurses nor allocates, and reads
// each byte at most once. The error is a [*Refusal], malformed at StageScan.
func Scan(b []byte, lim ScanLimits) error {
	if bad, at := scan(b, lim); bad != "" {
		return refuse(ReasonMalformed, StageScan, "body: %s, at byte %d of %d", bad, at, len(b))
	}
	return nil
}

// scan returns the first problem and where it is.
func scan(b []byte, lim ScanLimits) (problem, int) {
	depth, items := lim.Depth, lim.Items
	if depth <= 0 || depth > MaxDepth {
		depth = MaxDepth
	}
	if items <= 0 {
		items = MaxItems
	}
	var stack [MaxDepth]frame
	open, off := 0, 0
	for {
		t, bad := next(b[off:])
		if bad != "" {
			return bad, off
		}
		if items--; items < 0 {
			return badItems, off
		}
		at := off
		off += t.size
		body := b[off:]
		if bad = fits(t, body); bad != "" {
			return bad, at
		}
		if t.kind == tokStr || t.kind == tokBin {
			body = body[:t.n]
			off += len(body)
		}
		if open > 0 {
			if bad = stack[open-1].take(t, body); bad != "" {
				return bad, at
			}
		}
		if t.kind == tokArray || t.kind == tokMap {
			if open == depth {
				return badDepth, at
			}
			left := t.n
			if t.kind == tokMap {
				left *= 2
			}
			if left > uint64(items) {
				return badItems, at
			}
			stack[open] = frame{left: left, dict: t.kind == tokMap}
			open++
		}
		for open > 0 && stack[open-1].left == 0 {
			open--
		}
		if open == 0 {
			break
		}
	}
	if off != len(b) {
		return badTrailing, off
	}
	return "", 0
}

// fits checks what a token declares against the bytes after it: an item of an
// array needs one byte at least, an entry of a map two.
func fits(t token, rest []byte) problem {
	left := uint64(len(rest))
	switch t.kind {
	case tokStr, tokBin:
		if t.n > left {
			return badBeyond
		}
		if t.kind == tokStr && !utf8.Valid(rest[:t.n]) {
			return badUTF8
		}
	case tokArray:
		if t.n > left {
			return badBeyond
		}
	case tokMap:
		if 2*t.n > left {
			return badBeyond
		}
	}
	return ""
}

// take counts one item of f; in a map, every other item is a key.
func (f *frame) take(t token, body []byte) problem {
	key := f.dict && f.left%2 == 0
	f.left--
	if !key {
		return ""
	}
	if t.kind != tokStr {
		return badKey
	}
	if f.keys && bytes.Compare(f.key, body) >= 0 {
		return badKeyOrder
	}
	f.key, f.keys = body, true
	return ""
}
