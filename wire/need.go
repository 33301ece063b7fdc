package wire

import (
	"fmt"

	"github.com/fedmq/fedmq/topics"
)

// MaxRanges is the most ranges that one message has (W-38).
const MaxRanges = 64

// Range is N parts from First on.
type Range struct {
	First uint32 `json:"first"`
	N     uint32 `json:"n"`
}

// End is the first part after the range.
func (r Range) End() uint32 { return r.First + r.N }

// Need asks the owner to publish parts of its model again (W-40): the member
// could not get them. The header's base is that model.
type Need struct {
	Blob   BlobKey `json:"blob"`
	Ranges []Range `json:"ranges"` // 1..MaxRanges, ascending, disjoint
}

const needFields = 3

func (Need) members() []member { return nil }

func (n Need) check() error { return checkRanges(n.Ranges) }

func (n Need) appendTo(b []byte) []byte {
	return appendMembers(appendRanges(appendBin(appendArray(b, needFields), n.Blob[:]), n.Ranges), nil)
}

// DecodeNeed reads the body of a need. The error is a [*Refusal].
func DecodeNeed(body []byte) (Need, error) {
	r := open(body, "need", ScanLimits{})
	var n Need
	r.array("fields", needFields)
	r.fixed("blob", n.Blob[:], false)
	n.Ranges = r.ranges()
	r.members(nil)
	if err := r.close(); err != nil {
		return Need{}, err
	}
	return n, r.lacking()
}

// checkRanges reports ranges that the format does not have (W-38).
func checkRanges(list []Range) error {
	if len(list) == 0 || len(list) > MaxRanges {
		return fmt.Errorf("ranges: want 1 to %d, got %d", MaxRanges, len(list))
	}
	least := uint32(0)
	for i, r := range list {
		if r.N == 0 || r.N > topics.MaxParts || r.First > topics.MaxParts-r.N {
			return fmt.Errorf("range %d: want 1 part or more, all below %d, got %d from %d on", i, topics.MaxParts, r.N, r.First)
		}
		if r.First < least {
			return fmt.Errorf("range %d: starts at %d, want at least %d: ranges ascend and are disjoint", i, r.First, least)
		}
		least = r.End()
	}
	return nil
}

func appendRanges(b []byte, list []Range) []byte {
	b = appendArray(b, len(list))
	for _, r := range list {
		b = appendUint(appendUint(appendArray(b, 2), uint64(r.First)), uint64(r.N))
	}
	return b
}

func (r *reader) ranges() []Range {
	n := r.count("ranges", MaxRanges)
	list := make([]Range, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.array("range", 2)
		list = append(list, Range{First: r.uint32("first"), N: r.uint32("n")})
	}
	if r.err == nil {
		if err := checkRanges(list); err != nil {
			r.malformed("%v", err)
		}
	}
	return list
}
