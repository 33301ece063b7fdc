// Package digits is what "fedmq init" writes: a federation of two sites that
// have met different handwritten digits, with a trainer in PyTorch, scikit-learn,
// Perl or Go. See the README beside it.
//
// The package holds the files, embedded, and nothing that runs.
package digits

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

//go:embed data/*.csv.gz data/README.md *.yaml START.md pytorch/* sklearn/* shell/* go/*
var files embed.FS

// kind is a trainer that can be asked for.
type kind struct {
	command string            // how a site starts it; %s is the site
	train   string            // settings, as YAML
	names   map[string]string // other names of files
	python  bool              // it imports fedmq_trainer
	about   string            // its line in START.md
	needs   string
}

var kinds = map[string]kind{
	"pytorch": {
		command: "{command: [python3, train.py, data/%s.csv]}", train: "{epochs: 1, lr: 0.05}", python: true,
		about: "`train.py` | what trains: a PyTorch loop; `fedmq_trainer/` is what it imports", needs: "python3 with torch and numpy",
	},
	"sklearn": {
		command: "{command: [python3, train.py, data/%s.csv]}", train: "{epochs: 1, eta0: 0.01}", python: true,
		about: "`train.py` | what trains: a linear model of scikit-learn; `fedmq_trainer/` is what it imports", needs: "python3 with scikit-learn and numpy",
	},
	"shell": {
		command: "{command: [perl, train.pl, data/%s.csv], mode: per_round}", train: "{lr: 0.05}",
		about: "`train.pl` | what trains: a Perl script, run once a request", needs: "perl",
	},
	"go": {
		command: "{command: [go, run, ., data/%s.csv]}", train: "{epochs: 1, lr: 0.05}", names: map[string]string{"go.mod.txt": "go.mod"},
		about: "`main.go` | what trains: Go, the standard library alone", needs: "go",
	},
}

// Sites are the two sites.
var Sites = []string{"north", "south"}

// Needs says what the machine must have for a trainer.
func Needs(trainer string) string { return kinds[trainer].needs }

// Folder returns the files of a federation with the trainer, one of pytorch,
// sklearn, shell and go, by path. python holds the package fedmq_trainer.
func Folder(trainer string, python fs.FS) (map[string][]byte, error) {
	k, ok := kinds[trainer]
	if !ok {
		return nil, fmt.Errorf("digits: no trainer %q", trainer)
	}
	f := folder{kind: k, out: map[string][]byte{}}
	errs := []error{f.data(), f.texts(), f.copy(files, trainer, "")}
	if k.python {
		errs = append(errs, f.copy(python, "fedmq_trainer", "fedmq_trainer"))
	}
	return f.out, errors.Join(errs...)
}

type folder struct {
	kind
	out map[string][]byte
}

// copy takes the files of one directory over.
func (f folder) copy(from fs.FS, dir, to string) error {
	entries, err := fs.ReadDir(from, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := fs.ReadFile(from, path.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		name := e.Name()
		if other, ok := f.names[name]; ok {
			name = other
		}
		f.out[path.Join(to, name)] = b
	}
	return nil
}

// data unpacks the images.
func (f folder) data() error {
	about, err := files.ReadFile("data/README.md")
	if err != nil {
		return err
	}
	f.out["data/README.md"] = about
	for _, site := range Sites {
		packed, err := files.ReadFile("data/" + site + ".csv.gz")
		if err != nil {
			return err
		}
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return err
		}
		if f.out["data/"+site+".csv"], err = io.ReadAll(r); err != nil {
			return err
		}
	}
	return nil
}

// texts fills in the configurations and the README.
func (f folder) texts() error {
	fill := func(to, from, site string) error {
		b, err := files.ReadFile(from)
		if err != nil {
			return err
		}
		values := map[string]string{"SITE": site, "TRAIN": f.train, "FILES": strings.TrimSpace(f.about)}
		if site != "" {
			values["EXEC"] = fmt.Sprintf(f.command, site)
		}
		f.out[to] = []byte(os.Expand(string(b), func(name string) string { return values[name] }))
		return nil
	}
	errs := []error{fill("aggregator.yaml", "aggregator.yaml", ""), fill("README.md", "START.md", "")}
	for _, site := range Sites {
		errs = append(errs, fill(site+".yaml", "site.yaml", site))
	}
	return errors.Join(errs...)
}

// Names lists the trainers.
func Names() []string {
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
