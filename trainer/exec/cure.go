package exec

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// cure says what is wrong with a program that could not be started, and what
// to do: the system says of a file that lies there that there is none. It is
// err where nothing better is known.
func (c Config) cure(err error) error {
	name := c.Command[0]
	if c.Dir != "" {
		if info, statErr := os.Stat(c.Dir); statErr != nil || !info.IsDir() {
			return fmt.Errorf("the directory to run in, %s, is not there", c.Dir)
		}
	}
	path := c.path()
	switch why := c.sentence(name, path); {
	case why != "":
		return errors.New(why)
	case errors.Is(err, fs.ErrPermission):
		return errors.New("this user may not run it (a directory above it, or a file system mounted with noexec)")
	}
	return err
}

// path is the file of the program; "" where it is looked up and not found.
func (c Config) path() string {
	name := c.Command[0]
	if filepath.Base(name) == name {
		found, err := osexec.LookPath(name)
		if err != nil {
			return ""
		}
		return found
	}
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}

func (c Config) sentence(name, path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil && strings.ContainsAny(name, " \t"):
		return fmt.Sprintf("command: %q is one item of the list: want one for each word, [%s]", name, strings.Join(strings.Fields(name), ", "))
	case path == "":
		return c.notInPath(name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no such file (%s)", path)
	case err != nil:
		return err.Error()
	case info.IsDir():
		return "is a directory, want a program"
	case runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
		return fmt.Sprintf("has no execute bit: chmod +x %s, or name what runs it, [%s, %s]", name, interpreterFor(name), name)
	}
	return wrongFile(name, path)
}

func (c Config) notInPath(name string) string {
	if info, err := os.Stat(filepath.Join(c.Dir, name)); err == nil && !info.IsDir() {
		return fmt.Sprintf("is not in the PATH; the file beside the configuration is ./%s", name)
	}
	if _, err := osexec.LookPath("python3"); name == "python" && err == nil {
		return "is not in the PATH; python3 is"
	}
	return fmt.Sprintf("is not in the PATH (%s); want its whole path", os.Getenv("PATH"))
}

// oneItem says that an argument is several words, of which the first is a file
// that is there; "": none is.
func (c Config) oneItem() string {
	for _, arg := range c.Command[1:] {
		words := strings.Fields(arg)
		if len(words) < 2 || c.there(arg) || !c.there(words[0]) {
			continue
		}
		return fmt.Sprintf("; %q is one item of command: want one for each word, %s", arg, strings.Join(words, ", "))
	}
	return ""
}

// there reports that a file is there, as the program would find it.
func (c Config) there(name string) bool {
	if !filepath.IsAbs(name) {
		name = filepath.Join(c.Dir, name)
	}
	_, err := os.Stat(name)
	return err == nil
}

// interpreterFor is what runs a script, by its name.
func interpreterFor(name string) string {
	for end, by := range map[string]string{".py": "python3", ".pl": "perl", ".R": "Rscript", ".jl": "julia", ".js": "node"} {
		if filepath.Ext(name) == end {
			return by
		}
	}
	return "sh"
}

// wrongFile says why a file that may be run cannot be; "": it does not know.
func wrongFile(name, path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // read only
	head, err := bufio.NewReader(io.LimitReader(f, 4096)).Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case len(head) == 0:
		return "is empty"
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return wrongELF(f)
	case bytes.HasPrefix(head, []byte("MZ")):
		return "is a program for Windows"
	case slices.ContainsFunc(machO, func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }):
		return "is a program for macOS"
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf#!")):
		return "begins with a byte order mark, so its first line #! is not seen: write it as UTF-8 without"
	case bytes.HasPrefix(first, []byte("#!")):
		return wrongInterpreter(name, strings.TrimSpace(string(first[2:])), bytes.HasSuffix(first, []byte("\r")))
	}
	return fmt.Sprintf("has no first line such as #!/bin/sh that says what runs it; or name that, [%s, %s]", interpreterFor(name), name)
}

// crlf says that a script that another program runs has the line ends of
// Windows, which a shell takes for a part of every command; "": it has not.
func (c Config) crlf() string {
	if len(c.Command) < 2 || !slices.Contains([]string{"sh", "bash", "dash", "ash", "ksh", "zsh"}, filepath.Base(c.Command[0])) {
		return ""
	}
	script := c.Command[1]
	path := script
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // read only
	if line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n'); err != nil || !strings.HasSuffix(line, "\r\n") {
		return ""
	}
	return fmt.Sprintf("%s has the line ends of Windows (CR LF): sed -i 's/\\r$//' %s", script, script)
}

// machO are the first bytes of programs for macOS.
var machO = []string{"\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe"}

// wrongInterpreter looks at the first line of a script, without its #!.
func wrongInterpreter(name, line string, crlf bool) string {
	words := strings.Fields(line)
	switch {
	case crlf:
		return fmt.Sprintf("has the line ends of Windows (CR LF), so the system looks for %q: sed -i 's/\\r$//' %s", line+"\r", name)
	case len(words) == 0:
		return "has a first line #! that names nothing"
	}
	if _, err := os.Stat(words[0]); err != nil {
		return fmt.Sprintf("is run by %s, as its first line says, which is not there", words[0])
	}
	if by := words[len(words)-1]; filepath.Base(words[0]) == "env" && len(words) == 2 {
		if _, err := osexec.LookPath(by); err != nil {
			return fmt.Sprintf("is run by %s, as its first line says, which is not in the PATH", by)
		}
	}
	return ""
}

// elfMachines are Go's names of processors.
var elfMachines = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_386: "386", elf.EM_AARCH64: "arm64", elf.EM_ARM: "arm", elf.EM_RISCV: "riscv64",
	elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loong64", elf.EM_MIPS: "mips",
}

// wrongELF says which processor, or which loader, a program wants that is not
// here.
func wrongELF(r io.ReaderAt) string {
	f, err := elf.NewFile(r)
	if err != nil {
		var head [20]byte // a file that was cut has its machine all the same
		if _, err := r.ReadAt(head[:], 0); err != nil {
			return "is a damaged program"
		}
		f = &elf.File{FileHeader: elf.FileHeader{Machine: elf.Machine(uint16(head[18]) | uint16(head[19])<<8)}}
	}
	if arch := elfMachines[f.Machine]; arch != runtime.GOARCH {
		if arch == "" {
			arch = f.Machine.String()
		}
		return fmt.Sprintf("is a program for %s, this machine is %s", arch, runtime.GOARCH)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		loader, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
		if path := strings.TrimRight(string(loader), "\x00"); err == nil {
			if _, err := os.Stat(path); err != nil {
				return fmt.Sprintf("wants the loader %s, which is not there: it was built for another system", path)
			}
		}
	}
	return ""
}
