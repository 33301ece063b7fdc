package exec

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/model"
)

// files is the directory in which models change hands.
type files struct {
	*claim
	dir  string
	seed maphash.Seed
	held uint64 // hash of the values in modelFile
	full bool   // there is one
}

const (
	modelFile      = "model.safetensors"
	outFile        = "out.safetensors"
	correctionFile = "correction.safetensors"

	maxStatistics = 16 << 20 // bytes of the values of a statistics answer
	maxInit       = 4 << 30  // of a first model
)

// openFiles makes the directory and clears it of what an earlier run has left.
func openFiles(dir string) (*files, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f := &files{dir: dir, seed: maphash.MakeSeed()}
	if f.claim, err = take(dir); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(dir, "model-*.part")) // of a process that was killed
	for _, path := range append(left, f.model(), f.out(), f.correction()) {
		err = errors.Join(err, remove(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.release())
	}
	return f, nil
}

func (f *files) model() string      { return filepath.Join(f.dir, modelFile) }
func (f *files) out() string        { return filepath.Join(f.dir, outFile) }
func (f *files) correction() string { return filepath.Join(f.dir, correctionFile) }

// correct writes what is to be added to every gradient, a new file each time.
func (f *files) correct(m *model.Model) error {
	out, err := os.OpenFile(f.correction(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(m.WriteSafetensors(out, nil), out.Close())
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// clear removes what is left of a request, and at the end the model too.
func (f *files) clear(all bool) error {
	err := errors.Join(remove(f.out()), remove(f.correction()))
	if all {
		f.full = false
		err = errors.Join(err, remove(f.model()))
	}
	return err
}

// put writes the model, unless it is there. It becomes a new file each time:
// the program may still have the old one mapped.
func (f *files) put(m *model.Model) (err error) {
	id := maphash.Bytes(f.seed, m.Blob) // the same task, the same schema; several times as fast as SHA-256
	if f.full && id == f.held {
		if _, err := os.Lstat(f.model()); err == nil {
			return nil
		}
	}
	f.full = false
	part, err := os.CreateTemp(f.dir, "model-*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, remove(part.Name()))
		}
	}()
	err = m.WriteSafetensors(part, nil)
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	if err = os.Rename(part.Name(), f.model()); err == nil {
		f.held, f.full = id, true
	}
	return err
}

// take reads the program's answer, which must be a regular file, and removes
// it.
func (f *files) take(limit int64) (*model.Model, error) {
	info, err := os.Lstat(f.out())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, broken("there is no file at the path given as out (%s)", f.out())
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, broken("%s is no regular file", f.out())
	}
	m, err := model.ReadSafetensorsFile(f.out(), limit)
	return m, errors.Join(err, remove(f.out()))
}

// fit returns local with the layout of global: tensors whose rule is keep may
// be missing and are taken from global. The error names the first tensor
// that differs.
func fit(local, global *model.Model) (*model.Model, error) {
	if local.Schema.Equal(global.Schema) {
		return &model.Model{Schema: global.Schema, Blob: local.Blob}, nil
	}
	out := global.Clone()
	known := 0
	for _, want := range global.Schema {
		i := local.Schema.Index(want.Name)
		if i < 0 {
			if want.Rule == model.Keep {
				continue
			}
			return nil, broken("the trained model lacks the tensor %q", want.Name)
		}
		known++
		if got := local.Schema[i]; !(model.Schema{got}).Equal(model.Schema{want}) {
			return nil, broken("tensor %q of the trained model is %v%v, want %v%v", want.Name, got.DType, got.Shape, want.DType, want.Shape)
		}
		copy(out.Bytes(want.Name), local.Bytes(want.Name))
	}
	if known != len(local.Schema) {
		return nil, broken("the trained model has the tensor %q, which the model it was given lacks", stranger(local, global))
	}
	return out, nil
}

// stranger is the first tensor of local that global lacks.
func stranger(local, global *model.Model) string {
	for _, spec := range local.Schema {
		if global.Schema.Index(spec.Name) < 0 {
			return spec.Name
		}
	}
	return ""
}

// describe adds the program's name to an error.
func (c Config) describe(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", c.name(), err)
}
