package wire

import (
	"errors"

	"github.com/fedmq/fedmq/internal/zframe"
)

// decompress returns the content of a body that is one zstd frame (W-20).
func decompress(frame []byte, limit int) ([]byte, error) {
	b, err := zframe.Decompress(frame, limit)
	switch {
	case errors.Is(err, zframe.ErrTooLarge):
		return nil, refuse(ReasonTooLarge, StageDecompress, "%v", err)
	case err != nil:
		return nil, refuse(ReasonMalformed, StageDecompress, "%v", err)
	}
	return b, nil
}
