package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/fedmq/fedmq/internal/table"
)

// csvFlags lay out a federation on files of one's own.
type csvFlags struct {
	CSV        []string `name:"csv" sep:"none" placeholder:"FILE" help:"Table of one site, or a pattern in quotes; once for each site."`
	Target     string   `placeholder:"COLUMN" help:"Column that the model learns to predict."`
	Regression bool     `help:"The target is a number to predict, where its few whole numbers would count as classes."`
	Separator  string   `placeholder:"CHAR" help:"What separates cells of the tables; default: found in each file."`
	Decimal    string   `placeholder:"MARK" help:"Decimal mark of the tables, . or ,; default: found in each file."`
	Encoding   string   `placeholder:"NAME" help:"Encoding of the tables, such as windows-1252; default: found in each file."`
	Missing    []string `sep:"none" placeholder:"TEXT" help:"Further text that stands for a missing value in all tables, such as -999; may be repeated."`
}

// csvSite is a site with what its files have in them.
type csvSite struct {
	name    string
	train   string // as its configuration names it
	survey  *table.Survey
	missing []string // words for a missing value
}

// run looks at the files, decides, and writes the folder.
func (f csvFlags) run(dir string) error {
	if f.Target == "" {
		return usageError{errors.New("--csv wants --target, the column that the model learns to predict")}
	}
	sites, err := f.look(dir)
	if err != nil {
		return usageError{err}
	}
	plan, err := decide(sites, f.Target, f.Regression)
	if err != nil {
		return usageError{err}
	}
	return plan.write(dir)
}

// look reads the files of every site.
func (f csvFlags) look(dir string) ([]*csvSite, error) {
	format := table.Format{Separator: f.Separator, Decimal: f.Decimal, Encoding: f.Encoding, Missing: f.Missing, Flags: true}
	if err := format.Validate(); err != nil { // once, and not for each site
		return nil, fmt.Errorf("--%w", err)
	}
	base, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	sites := make([]*csvSite, len(f.CSV))
	err = atOnce(len(sites), func(i int) error {
		s := &csvSite{missing: slices.Clone(f.Missing)}
		sites[i] = s
		path, err := filepath.Abs(f.CSV[i])
		if err != nil {
			return err
		}
		if s.train, err = filepath.Rel(base, path); err != nil {
			s.train = path // on another drive
		}
		s.train = filepath.ToSlash(s.train)
		s.survey, err = table.Look(table.Dir("."), f.CSV[i], format, table.Name(f.Target))
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, name := range siteNames(f.CSV) {
		sites[i].name = name
	}
	return sites, apart(f.CSV, sites)
}

// apart refuses a file that two sites have.
func apart(flags []string, sites []*csvSite) error {
	for i, s := range sites {
		for k, other := range sites[:i] {
			for _, a := range s.survey.Files {
				for _, b := range other.survey.Files {
					if sameFile(a, b) {
						return fmt.Errorf("--csv %s: %s is a file of --csv %s too, and each of its rows would count twice; if it has the rows of several sites, "+
							"give it once and, in a copy of the site's file for each, where: {COLUMN: SITE}", flags[i], a, flags[k])
					}
				}
			}
		}
	}
	return nil
}

// siteNames names sites after their files; where two files have one name, their
// folders tell them apart.
func siteNames(paths []string) []string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = level(stem(p))
	}
	folders := slices.Clone(names)
	for i, p := range paths {
		folders[i] = level(filepath.Base(filepath.Dir(filepath.Clean(p))))
	}
	if twice(names) && !twice(folders) {
		return folders
	}
	for i := range names {
		base, n := names[i], 2
		for slices.Contains(names[:i], names[i]) {
			names[i] = fmt.Sprintf("%s-%d", base, n)
			n++
		}
	}
	return names
}

func twice(names []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(names)))) < len(names)
}

// stem is a file's name without what says that it is a table.
func stem(path string) string {
	name := filepath.Base(path)
	for _, end := range []string{".gz", ".csv", ".tsv", ".txt", ".parquet"} {
		if n := len(name) - len(end); n > 0 && strings.EqualFold(name[n:], end) {
			name = name[:n]
		}
	}
	return name
}

// level makes a level of a topic, and a file's name, of a text.
func level(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, table.Name(s))
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "-")
	}
	s = strings.Trim(s, "-._")
	for len(s) > maxSiteName {
		r := []rune(s)
		s = string(r[:len(r)-1])
	}
	switch strings.ToLower(s) {
	case "":
		return "site"
	case "aggregator", "broker": // files of the folder that are no site's
		return s + "-site"
	}
	return s
}

// taskName makes a task's name, of small ASCII letters, of a text.
func taskName(s string) string {
	s = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss").Replace(strings.ToLower(table.Name(s)))
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case unicode.Is(unicode.Mn, r):
			return -1 // an accent
		}
		return '-'
	}, norm.NFD.String(s))
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "-")
	}
	s = strings.Trim(s, "-")
	s = strings.Trim(s[:min(len(s), maxSiteName)], "-")
	switch s {
	case "":
		return "task"
	case "state", "roster": // are topics
		return "the-" + s
	}
	return s
}

// maxSiteName leaves room in a level for a number.
const maxSiteName = 56

// fresh reports why the folder cannot take the configurations.
func fresh(dir string, files map[string]string) error {
	found, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return usageError{fmt.Errorf("%s has %s: want a folder without configurations", dir, filepath.Base(found[0]))}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { // no secrets
			return err
		}
	}
	return nil
}
