package exec

import "errors"

func renice(int, int) error { return errors.ErrUnsupported }
