//go:build !linux

package exec

import "errors"

const limitsMemory = false

func limitMemory(int, int64) error { return errors.ErrUnsupported }
