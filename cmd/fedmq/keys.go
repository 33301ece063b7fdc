package main

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/wire"
)

// publicKeys reads one public key (PEM), or all *.pub of a directory; none for
// an empty path.
func publicKeys(path string) ([]ed25519.PublicKey, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("--keys: %w", err)
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.pub")); err != nil || len(files) == 0 {
			return nil, fmt.Errorf("--keys: no *.pub in %s", path)
		}
	}
	var keys []ed25519.PublicKey
	for _, name := range files {
		pub, err := wire.LoadPublicKeyPEM(name)
		if err != nil {
			return nil, fmt.Errorf("--keys: %w", err)
		}
		keys = append(keys, pub)
	}
	return keys, nil
}
