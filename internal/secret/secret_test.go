package secret

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	const user = 65532
	for _, tc := range []struct {
		name        string
		mode        fs.FileMode
		owner, self int
		ok          bool
	}{
		{"own", 0o600, user, user, true},
		{"own, read only", 0o400, user, user, true},
		{"root's, for root", 0o600, root, root, true},
		{"Kubernetes: root's, for the group", 0o440, root, user, true},
		{"root's, root may write", 0o640, root, user, true},
		{"own, and the group reads", 0o640, user, user, false},
		{"another user's, and the group reads", 0o440, 1000, user, false},
		{"root's, and the process is root", 0o640, root, root, false},
		{"root's, and the group writes", 0o660, root, user, false},
		{"root's, and the group executes", 0o450, root, user, false},
		{"root's, and everybody reads", 0o444, root, user, false},
		{"own, and others read", 0o604, user, user, false},
	} {
		err := check("key.pem", tc.mode, tc.owner, tc.self)
		if (err == nil) != tc.ok {
			t.Errorf("%s: mode %04o, owner %d, process %d: %v", tc.name, tc.mode, tc.owner, tc.self, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "key.pem has mode 0") {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err != nil && strings.HasSuffix(err.Error(), "if it belongs to root") != (tc.self != root) {
			t.Errorf("%s: %v is no advice to a process of user %d", tc.name, err, tc.self)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.pem")
	if _, err := Open(path); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "secret" {
		t.Errorf("read %q, %v", b, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "has mode 0644") {
		t.Errorf("mode 0644: %v", err)
	}
}
