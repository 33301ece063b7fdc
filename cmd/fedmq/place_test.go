package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestZone(t *testing.T) {
	t.Parallel()
	for tz, ok := range map[string]bool{
		"": true, "UTC": true, "Europe/Berlin": true, ":Europe/Berlin": true, "Mars/Olympus": false, "CET-1CEST": false, "/no/such/file": false,
	} {
		if err := checkZone(tz); (err == nil) != ok {
			t.Errorf("TZ=%q: %v", tz, err)
		}
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if got := zone("Europe/Berlin", time.Date(2026, 1, 1, 0, 0, 0, 0, berlin)); got != "Europe/Berlin (CET, UTC+01:00)" {
		t.Error(got)
	}
}

func TestCheckPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for audit, want := range map[string]string{"": "", "audit.log": "", "logs/audit.log": "audit: the directory " + filepath.Join(dir, "logs") + " is not there"} {
		err := connection{DataDir: "state", Audit: audit}.checkPlaces(dir)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%q: %s, want %q", audit, got, want)
		}
	}
}

func TestCheckDataDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "", filepath.Join(dir, "a", "b"): "", filepath.Join(dir, "file"): "is no directory", filepath.Join(dir, "file", "x"): "not a directory",
	} {
		err := checkDataDir(path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if err := checkDataDir(filepath.Join(dir, "a")); err == nil || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("a directory of somebody else: %v", err)
		}
	}
}
