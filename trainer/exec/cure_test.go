//go:build unix

package exec

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What lies there and cannot be run is said by what is wrong with it.
func TestCure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	elfOf := func(machine byte) string {
		return "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00" + string(machine) + "\x00\x01\x00" + strings.Repeat("\x00", 100)
	}
	for name, text := range map[string]string{
		"crlf.sh": "#!/bin/sh\r\necho hi\r\n", "env.py": "#!/usr/bin/env python3\r\nprint()\r\n", "plain.sh": "#!/bin/sh\n", "naked": "echo hi\n",
		"conda": "#!/opt/none/python\n", "env": "#!/usr/bin/env no-such-interpreter\n", "bom": "\xef\xbb\xbf#!/bin/sh\n", "empty": "", "hollow": "#!\n",
		"windows.exe": "MZ\x90\x00", "mac": "\xcf\xfa\xed\xfe\x07", "sparc": elfOf(43), "run.sh": "nonsense-of-mine\r\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil { // a program
			t.Fatal(err)
		}
	}
	for _, name := range []string{"nox.sh", "nox.py"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for command, want := range map[string]string{
		"./crlf.sh": `Windows (CR LF), so the system looks for "/bin/sh\r": sed -i 's/\r$//' ./crlf.sh`, "./env.py": `the system looks for "/usr/bin/env python3\r"`,
		"./nox.sh": "has no execute bit: chmod +x ./nox.sh, or name what runs it, [sh, ./nox.sh]", "./nox.py": "[python3, ./nox.py]",
		"./naked": "has no first line such as #!/bin/sh", "./conda": "is run by /opt/none/python, as its first line says, which is not there",
		"./env": "is run by no-such-interpreter, as its first line says, which is not in the PATH",
		"./bom": "begins with a byte order mark", "./empty": "is empty", "./hollow": "names nothing", "./windows.exe": "is a program for Windows", "./mac": "for macOS",
		"./sparc": "is a program for EM_SPARCV9, this machine is " + runtime.GOARCH, "plain.sh": "is ./plain.sh", "./": "is a directory",
		"./missing": "there is no such file (" + filepath.Join(dir, "missing"), "no-such-program": "is not in the PATH (",
		"python3 train.py --x 1": "is one item of the list: want one for each word, [python3, train.py, --x, 1]",
		"./plain.sh":             "ended (exit status 0) (it ended without a hello: want a program that answers requests",
		"sh|plain.sh --x 1":      `"plain.sh --x 1" is one item of command: want one for each word, plain.sh, --x, 1`,
		"sh|run.sh":              "run.sh has the line ends of Windows (CR LF)",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, strings.Split(command, "|")...)
			cfg.Dir = dir
			_, err := Start(t.Context(), cfg)
			wantError(t, err, want)
		})
	}
	cfg := config(t, "sh")
	cfg.Dir = filepath.Join(dir, "none")
	_, err := Start(t.Context(), cfg)
	wantError(t, err, "the directory to run in, "+cfg.Dir+", is not there")
}
