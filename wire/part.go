package wire

import "github.com/fedmq/fedmq/topics"

// Part is one part of a blob as it travels (W-35). It is no envelope: its
// identity is the blob's, its proof the hash in a manifest or an offer, its
// sender the topic.
type Part struct {
	Blob  BlobKey
	Index uint32 // below Count
	Count uint32 // at most topics.MaxParts
	Data  []byte // at least one byte
}

const (
	partVersion = 2 // the first element; an envelope has Version there
	partFields  = 5
)

// AppendPart appends a part's payload to dst. The part must be one of a
// [Blob]: nothing is checked.
func AppendPart(dst []byte, p Part) []byte { return append(AppendPartHead(dst, p), p.Data...) }

// AppendPartHead is [AppendPart] without the data, which come behind it: they need not
// be copied to be sent.
func AppendPartHead(dst []byte, p Part) []byte {
	dst = appendUint(appendArray(dst, partFields), partVersion)
	dst = appendBin(dst, p.Blob[:])
	dst = appendUint(dst, uint64(p.Index))
	dst = appendUint(dst, uint64(p.Count))
	return appendBinHead(dst, len(p.Data))
}

// What a part is refused for. Parts are not signed and may come by the
// thousand from anybody, so their refusals are made once.
var (
	badPartSize  = refuse(ReasonTooLarge, StageSize, "part: larger than the part size of this receiver")
	badPartForm  = refuse(ReasonMalformed, StageStructure, "part: want the array [2, blob bin16, index, count, data bin], in shortest form, and nothing after it")
	badPartCount = refuse(ReasonMalformed, StageStructure, "part: want a count of 1 to 4000 and an index below it")
	badPartData  = refuse(ReasonMalformed, StageStructure, "part: want at least one byte of data")
)

// IsPart reports whether a payload starts as a part does, and not as an
// envelope.
func IsPart(payload []byte) bool {
	return len(payload) > 1 && payload[0] == 0x90|partFields && payload[1] == partVersion
}

// DecodePart reads the payload of a part, of at most maxPayload bytes. Data
// aliases the payload. It allocates nothing, whatever the bytes are. The error
// is a [*Refusal]; whether the part belongs to anything is [Blob.Holds] to say.
func DecodePart(payload []byte, maxPayload int) (Part, error) {
	if len(payload) > maxPayload {
		return Part{}, badPartSize
	}
	if !IsPart(payload) {
		return Part{}, badPartForm
	}
	b := payload[2:]
	key, b, ok := takeBin(b)
	if !ok || len(key) != len(BlobKey{}) {
		return Part{}, badPartForm
	}
	index, b, ok1 := takeUint(b)
	count, b, ok2 := takeUint(b)
	data, b, ok3 := takeBin(b)
	switch {
	case !ok1 || !ok2 || !ok3 || len(b) > 0:
		return Part{}, badPartForm
	case count > topics.MaxParts || index >= count:
		return Part{}, badPartCount
	case len(data) == 0:
		return Part{}, badPartData
	}
	return Part{Blob: BlobKey(key), Index: uint32(index), Count: uint32(count), Data: data}, nil // at most MaxParts
}

// takeUint reads one unsigned integer and returns what follows it.
func takeUint(b []byte) (v uint64, rest []byte, ok bool) {
	t, bad := next(b)
	if bad != "" || t.kind != tokUint {
		return 0, nil, false
	}
	return t.n, b[t.size:], true
}

// takeBin reads one bin, aliased, and returns what follows it.
func takeBin(b []byte) (p, rest []byte, ok bool) {
	t, bad := next(b)
	if bad != "" || t.kind != tokBin || t.n > uint64(len(b)-t.size) {
		return nil, nil, false
	}
	end := t.size + int(t.n) // at most len(b)
	return b[t.size:end:end], b[end:], true
}
