package wire

import (
	"math"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Bounds of compressed bodies (W-20).
const (
	maxWindow   = 8 << 20   // window a frame may ask for
	maxContent  = 256 << 20 // plain bytes of any body, whatever its bound
	maxBlock    = 128 << 10 // of one block, plain or compressed
	blockHeader = 3
	checksum    = 4
)

// These serve the whole process, each with concurrency 1: their memory is
// bounded, and concurrent callers wait for each other. A frame of one segment
// always declares its content size, but its window is its content; beyond
// maxWindow frames have a window of their own.
var (
	oneSegment = sync.OnceValues(func() (*zstd.Encoder, error) { return newEncoder(true) })
	windowed   = sync.OnceValues(func() (*zstd.Encoder, error) { return newEncoder(false) })
	decoder    = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxContent))
	})
)

// newEncoder has no checksum: the envelope's body hash covers the frame.
func newEncoder(single bool) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(single))
}

// compress returns one zstd frame that declares its content size.
func compress(plain []byte) ([]byte, error) {
	encoder := oneSegment
	if len(plain) > maxWindow {
		encoder = windowed
	}
	enc, err := encoder()
	if err != nil {
		return nil, err
	}
	return enc.EncodeAll(plain, nil), nil
}

// decompress returns the content of exactly one zstd frame. Everything the
// frame declares is checked before a byte of content is allocated: its size
// against limit, and against what its blocks can hold at most.
func decompress(frame []byte, limit int) ([]byte, error) {
	size, bad := frameSize(frame)
	if bad != "" {
		return nil, refuse(ReasonMalformed, StageDecompress, "zstd: %s", bad)
	}
	if size > uint64(min(limit, maxContent)) { // a limit is positive
		return nil, refuse(ReasonTooLarge, StageDecompress, "zstd: content of %d bytes, want at most %d", size, limit)
	}
	dec, err := decoder()
	if err != nil {
		return nil, refuse(ReasonMalformed, StageDecompress, "zstd: %v", err)
	}
	out, err := dec.DecodeAll(frame, make([]byte, 0, int(size))) // at most maxContent
	if err != nil {
		return nil, refuse(ReasonMalformed, StageDecompress, "zstd: %v", err)
	}
	return out, nil
}

// frameSize walks the blocks of a frame without decoding them, and returns the
// content size it declares.
func frameSize(frame []byte) (uint64, problem) {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return 0, "not a frame"
	}
	switch {
	case h.Skippable:
		return 0, "a skippable frame"
	case h.DictionaryID != 0:
		return 0, "dictionaries are not used"
	case !h.HasFCS:
		return 0, "the frame does not declare its content size"
	case !h.SingleSegment && h.WindowSize > maxWindow:
		return 0, "the window is larger than 8 MiB"
	}
	most, end, bad := walkBlocks(frame, h.HeaderSize)
	if bad != "" {
		return 0, bad
	}
	if h.HasCheckSum {
		end += checksum
	}
	switch {
	case end > len(frame):
		return 0, "the frame is cut short"
	case end < len(frame):
		return 0, "bytes follow the frame"
	case h.FrameContentSize > most:
		return 0, "the content size is more than its blocks can hold"
	}
	return h.FrameContentSize, ""
}

// walkBlocks returns the most content that the blocks from off on can hold,
// and where they end.
func walkBlocks(frame []byte, off int) (most uint64, end int, bad problem) {
	for last := false; !last; {
		if len(frame)-off < blockHeader {
			return 0, 0, "the frame is cut short"
		}
		head := int(frame[off]) | int(frame[off+1])<<8 | int(frame[off+2])<<16
		off += blockHeader
		last = head&1 != 0
		size, holds := head>>3, uint64(maxBlock)
		if size > maxBlock {
			return 0, 0, "a block larger than 128 KiB"
		}
		switch head >> 1 & 3 {
		case 0: // raw
			holds = uint64(size) // 21 bits
		case 1: // one byte, repeated
			holds = uint64(size) // 21 bits
			size = 1
		case 3:
			return 0, 0, "a reserved block type"
		}
		if size > len(frame)-off {
			return 0, 0, "the frame is cut short"
		}
		off += size
		if most > math.MaxInt64-holds {
			return 0, 0, "too many blocks"
		}
		most += holds
	}
	return most, off, ""
}
