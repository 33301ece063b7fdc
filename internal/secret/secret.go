// Package secret opens files that hold a private key or a password. Call Open,
// read, close. It never reads a file that somebody beside its user can read
// without the machine's administrator having said so.
package secret

import (
	"fmt"
	"io/fs"
	"os"
)

// root is the administrator's user id.
const root = 0

// Open opens the file at path, unless others than its owner may read it. The
// group may, if the file belongs to root and the process does not run as root:
// then an administrator has given it to the process's group, as Kubernetes does
// with a Secret and fsGroup (mode 0440). Others never may. The same rule is
// PostgreSQL's for the key of its server. Windows has no such modes; there the
// file is opened. The file that is checked is the file that is read.
func Open(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		if owner, ok := ownerOf(info); ok {
			err = check(path, info.Mode().Perm(), owner, os.Geteuid())
		}
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// check decides about a file of such a mode and owner for a process of user self.
func check(path string, mode fs.FileMode, owner, self int) error {
	switch {
	case mode&0o077 == 0:
		return nil
	case mode&0o037 == 0 && owner == root && self != root:
		return nil
	}
	want := "0600"
	if self != root {
		want += ", or 0440 if it belongs to root"
	}
	return fmt.Errorf("%s has mode %04o: others may read it, want %s", path, mode, want)
}
