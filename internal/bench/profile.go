package bench

import (
	"errors"
	"os"
	"runtime/pprof"
)

// profileTo profiles the CPU into f until stop, which closes f and writes the
// heap's profile, with all that was allocated, to heap.
func profileTo(f *os.File, heap string) (stop func() error, err error) {
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		h, err := os.Create(heap)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		return errors.Join(pprof.Lookup("heap").WriteTo(h, 0), h.Close(), f.Close())
	}, nil
}
