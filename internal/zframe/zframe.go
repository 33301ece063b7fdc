// Package zframe packs bytes into one zstd frame, and unpacks hostile ones: all that a
// frame declares is checked before memory is taken (W-20). It knows nothing of what the
// bytes are.
package zframe

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Errors of [Decompress]; they arrive wrapped.
var (
	ErrMalformed = errors.New("zstd")
	ErrTooLarge  = errors.New("zstd: too large")
)

// Bounds of a frame (W-20).
const (
	maxWindow   = 8 << 20   // window a frame may ask for
	MaxContent  = 256 << 20 // plain bytes, whatever their bound
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
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(MaxContent))
	})
)

// newEncoder has no checksum: hashes of messages and contents cover the frame.
func newEncoder(single bool) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(single))
}

// Compress returns one zstd frame that declares its content size.
func Compress(plain []byte) ([]byte, error) {
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

// Decompress returns the content of exactly one zstd frame, of at most limit bytes. Everything the
// frame declares is checked before a byte of content is allocated: its size
// against limit, and against what its blocks can hold at most.
func Decompress(frame []byte, limit int) ([]byte, error) {
	size, bad := frameSize(frame)
	if bad != "" {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, bad)
	}
	if size > uint64(min(limit, MaxContent)) { // a limit is positive
		return nil, fmt.Errorf("%w: content of %d bytes, want at most %d", ErrTooLarge, size, limit)
	}
	dec, err := decoder()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	out, err := dec.DecodeAll(frame, make([]byte, 0, int(size))) // at most MaxContent
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}

// frameSize walks the blocks of a frame without decoding them, and returns the
// content size it declares.
func frameSize(frame []byte) (uint64, string) {
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
func walkBlocks(frame []byte, off int) (most uint64, end int, bad string) {
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
