package broker

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

const (
	hashName       = "pbkdf2-sha256"
	hashIterations = 600_000 // OWASP Password Storage Cheat Sheet, 2023
	minIterations  = 1_000
	maxIterations  = 10_000_000
)

// HashPassword returns what a file of users has as password_hash:
//
//	pbkdf2-sha256$<iterations>$<salt>$<hash>
//
// PBKDF2 (RFC 8018) with HMAC-SHA-256, a random salt of 16 bytes and a hash of
// 32, both in base64 (standard alphabet, no padding).
func HashPassword(password string) (string, error) {
	return hashPassword(password, hashIterations)
}

func hashPassword(password string, iterations int) (string, error) {
	if password == "" {
		return "", fmt.Errorf("broker: the password is empty")
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	h, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("broker: hash a password: %w", err)
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d$%s$%s", hashName, iterations, b64(salt), b64(h)), nil
}

// password is one user's, as a slow hash, and as a quick one under a key that
// lives as long as the process: a hundred sites that reconnect at once do not
// cost a hundred slow hashes.
type password struct {
	iterations int
	salt, hash []byte
	quick      *quickHash // nil: no password, never right
}

type quickHash struct {
	key [32]byte
	mu  sync.Mutex
	sum []byte // nil until the password is known to be right
}

func newPassword(u User) (p password, err error) {
	if !u.hasPassword() {
		return p, nil
	}
	p.quick = &quickHash{}
	if _, err := rand.Read(p.quick.key[:]); err != nil {
		return p, err
	}
	if u.Password != "" {
		p.quick.sum = p.quick.of([]byte(u.Password))
		return p, nil
	}
	bad := fmt.Errorf("broker: user %q: password_hash is not %s$iterations$salt$hash", u.Name, hashName)
	parts := strings.Split(u.PasswordHash, "$")
	if len(parts) != 4 || parts[0] != hashName {
		return p, bad
	}
	if p.iterations, err = strconv.Atoi(parts[1]); err != nil || p.iterations < minIterations || p.iterations > maxIterations {
		return p, fmt.Errorf("%w: want %d to %d iterations", bad, minIterations, maxIterations)
	}
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[2]); err != nil || len(p.salt) < 8 {
		return p, fmt.Errorf("%w: bad salt", bad)
	}
	if p.hash, err = base64.RawStdEncoding.DecodeString(parts[3]); err != nil || len(p.hash) != sha256.Size {
		return p, fmt.Errorf("%w: bad hash", bad)
	}
	return p, nil
}

func (q *quickHash) of(password []byte) []byte {
	m := hmac.New(sha256.New, q.key[:])
	m.Write(password)
	return m.Sum(nil)
}

// quickly reports whether given is the password, where that is known without a
// slow hash.
func (p password) quickly(given []byte) (right, known bool) {
	if p.quick == nil || len(given) == 0 {
		return false, true
	}
	p.quick.mu.Lock()
	defer p.quick.mu.Unlock()
	return hmac.Equal(p.quick.of(given), p.quick.sum), p.quick.sum != nil
}

// slowly reports whether given is the password, and remembers it if so.
func (p password) slowly(given []byte) bool {
	if right, known := p.quickly(given); known {
		return right
	}
	h, err := pbkdf2.Key(sha256.New, string(given), p.salt, p.iterations, sha256.Size)
	if err != nil || !hmac.Equal(h, p.hash) {
		return false
	}
	p.quick.mu.Lock()
	defer p.quick.mu.Unlock()
	p.quick.sum = p.quick.of(given)
	return true
}
