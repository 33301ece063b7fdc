package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // where the machine has no zone files: hours are in local time
)

// checkZone refuses a TZ that is no zone: package time would take UTC for it
// without a word.
func checkZone(tz string) error {
	name := strings.TrimPrefix(tz, ":")
	if name == "" || filepath.IsAbs(name) && !absent(name) {
		return nil
	}
	if _, err := time.LoadLocation(name); err != nil {
		return fmt.Errorf("TZ=%s: no such time zone; want a name such as Europe/Berlin, or hours in UTC: 22:00-06:00 UTC", tz)
	}
	return nil
}

// zone names the local zone, as it is at t: "Europe/Berlin (CET, UTC+01:00)".
func zone(tz string, t time.Time) string {
	name, offset := t.Format("MST"), t.Format("-07:00")
	if tz = strings.TrimPrefix(tz, ":"); tz == "" {
		tz = "this machine's zone"
	}
	return fmt.Sprintf("%s (%s, UTC%s)", tz, name, offset)
}

// checkPlaces reports which places of a configuration in dir cannot be written.
func (c connection) checkPlaces(dir string) error {
	if c.Audit != "" {
		if to := filepath.Dir(at(dir, c.Audit)); absent(to) {
			return fmt.Errorf("audit: the directory %s is not there", to)
		}
	}
	if c.DataDir == "" {
		return nil
	}
	return checkDataDir(at(dir, c.DataDir))
}

// checkDataDir reports why a data directory cannot be written, without leaving
// anything: in it, or where it would be made.
func checkDataDir(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, os.ErrNotExist) && at != filepath.Dir(at):
			continue
		case err != nil:
			return fmt.Errorf("data_dir: %w", err)
		case !info.IsDir():
			return fmt.Errorf("data_dir: %s is no directory", at)
		}
		f, err := os.CreateTemp(at, ".fedmq-check-")
		if err != nil {
			return fmt.Errorf("data_dir: %s cannot be written: %w", dir, err)
		}
		return errors.Join(f.Close(), os.Remove(f.Name()))
	}
}

// absent reports that nothing is at path.
func absent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}
