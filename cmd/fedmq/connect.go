package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/textfile"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// connection is how a configuration file says where the broker is. Paths in a
// configuration file are relative to the file.
type connection struct {
	Broker       addresses             `yaml:"broker"`
	Namespace    string                `yaml:"namespace"`
	ClientID     string                `yaml:"client_id"`
	Username     string                `yaml:"username"`
	PasswordFile string                `yaml:"password_file"`
	TLS          *tlsFiles             `yaml:"tls"`
	WSHeaders    map[string]headerFile `yaml:"ws_headers"`
	DataDir      string                `yaml:"data_dir"`
	Keys         *keyFiles             `yaml:"keys"`
	HTTP         string                `yaml:"http"`
	Audit        string                `yaml:"audit"`
}

// addresses are one URL, or those of one cluster with commas between; a
// configuration file may have them as a list.
type addresses string

// UnmarshalYAML takes a text or a list of texts.
func (a *addresses) UnmarshalYAML(n ast.Node) error {
	v, err := plain(n)
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		*a = addresses(v)
		return nil
	case []any:
		var list []string
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return placed(n, "want URLs")
			}
			list = append(list, s)
		}
		*a = addresses(strings.Join(list, ","))
		return nil
	}
	return placed(n, "want a URL, or a list of the URLs of one cluster")
}

// tlsFiles are PEM files: the authority of the broker's certificate, and the
// client's own certificate and key for mutual TLS.
type tlsFiles struct {
	CA         string `yaml:"ca"`
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"` // of the broker's certificate, if not the URL's host
	Insecure   bool   `yaml:"insecure"`
}

// headerFile is the text of a header of a WebSocket's request, the first line of a
// file: it may be a secret.
type headerFile struct {
	File string `yaml:"file"`
}

// readHeaders reads the texts of headers.
func readHeaders(dir string, files map[string]headerFile) (http.Header, error) {
	headers := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		if f.File == "" {
			return nil, fmt.Errorf("%s: want {file: FILE}, whose first line is the header's text", name)
		}
		text, err := firstLine(at(dir, f.File))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		headers.Add(name, text)
	}
	return headers, nil
}

// keyFiles are Ed25519 keys as PEM files (openssl genpkey -algorithm ed25519).
type keyFiles struct {
	Key   string      `yaml:"key"`
	Allow []allowFile `yaml:"allow"`
}

type allowFile struct {
	Path string `yaml:"path"` // "" is the namespace itself
	Role string `yaml:"role"` // site or aggregator
	Key  string `yaml:"key"`  // public key
}

// at makes a path of the configuration relative to the file's directory.
func at(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// secrets are what the files of a connection hold.
type secrets struct {
	password string
	headers  http.Header
	tls      *tls.Config
	signer   *wire.Signer
	keys     []wire.Key
}

func (c connection) load(dir string) (s secrets, err error) {
	if err := c.voids(); err != nil {
		return s, err
	}
	if s.headers, err = readHeaders(dir, c.WSHeaders); err != nil {
		return s, fmt.Errorf("ws_headers: %w", err)
	}
	if c.Broker != "" { // a connection that is never run: the URL is checked
		if _, err := link.New(link.Config{Broker: string(c.Broker), ClientID: "check", Headers: s.headers}); err != nil {
			return s, fmt.Errorf("broker: %w", err)
		}
	}
	if c.PasswordFile != "" {
		if s.password, err = firstLine(at(dir, c.PasswordFile)); err != nil {
			return s, fmt.Errorf("password_file: %w", err)
		}
	}
	if c.TLS != nil {
		if s.tls, err = link.TLSConfig(at(dir, c.TLS.CA), at(dir, c.TLS.Cert), at(dir, c.TLS.Key), c.TLS.Insecure); err != nil {
			return s, fmt.Errorf("tls: %w", err)
		}
		s.tls.ServerName = c.TLS.ServerName
	}
	if c.Keys != nil {
		if s.signer, s.keys, err = c.Keys.load(dir); err != nil {
			return s, fmt.Errorf("keys: %w", err)
		}
	}
	return s, nil
}

func (k keyFiles) load(dir string) (*wire.Signer, []wire.Key, error) {
	if k.Key == "" || len(k.Allow) == 0 {
		return nil, nil, errors.New("want key: (the own private key) and allow: (whose messages are believed)")
	}
	private, err := wire.LoadPrivateKeyPEM(at(dir, k.Key))
	if err != nil {
		return nil, nil, err
	}
	signer, err := wire.NewSigner(private)
	if err != nil {
		return nil, nil, err
	}
	var keys []wire.Key
	for i, a := range k.Allow {
		role, err := topics.ParseRole(a.Role)
		if err != nil {
			return nil, nil, fmt.Errorf("allow[%d]: %w", i, err)
		}
		public, err := wire.LoadPublicKeyPEM(at(dir, a.Key))
		if err != nil {
			return nil, nil, fmt.Errorf("allow[%d] (%s): %w", i, a.Path, err)
		}
		keys = append(keys, wire.Key{Path: a.Path, Role: role, Public: public})
	}
	return signer, keys, nil
}

// firstLine returns the first line of a file.
func firstLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, err := textfile.FirstLine(b)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return line, nil
}
