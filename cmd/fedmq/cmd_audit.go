package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/fedmq/fedmq/internal/audit"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check that the files of a rotated audit log follow each other."`
}

type auditVerifyCmd struct {
	Files []string `arg:"" type:"existingfile" help:"The files, the oldest first."`
}

func (auditVerifyCmd) Help() string {
	return `A file that takes the place of one that was renamed begins with the SHA-256 of that
file's last line: none is missing in between, and the end of none was cut off.

  fedmq audit verify audit.jsonl.2 audit.jsonl.1 audit.jsonl`
}

func (c *auditVerifyCmd) Run() error {
	var before *audit.Checked
	for i, name := range c.Files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		found, err := audit.Verify(f, before)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(stdout, "%s: %s%s\n", name, counted(found), from(c.Files, i, found))
		before = &found
	}
	return nil
}

func counted(c audit.Checked) string {
	if c.Torn > 0 {
		return fmt.Sprintf("%d lines, and %d that were torn", c.Lines, c.Torn)
	}
	return fmt.Sprintf("%d lines", c.Lines)
}

// from says what a file goes on from.
func from(files []string, i int, c audit.Checked) string {
	switch {
	case i > 0:
		return ", goes on from " + files[i-1]
	case c.Continues != "":
		return ", goes on from a file that was not given"
	}
	return ", begins the log"
}
