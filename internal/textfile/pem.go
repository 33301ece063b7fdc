package textfile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// PEM returns a file of certificates or keys as PEM, or says what it is instead and
// which command makes PEM of it. A certificate in DER, as Windows exports it, is
// taken too.
func PEM(path string, b []byte) ([]byte, error) {
	if cert, err := x509.ParseCertificate(b); err == nil {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), nil
	}
	if isPKCS12(b) {
		return nil, fmt.Errorf("%s is PKCS #12 (.pfx, .p12): take certificate and key out with openssl pkcs12 -in %s -nodes -out both.pem", path, path)
	}
	var der asn1.RawValue
	if rest, err := asn1.Unmarshal(b, &der); err == nil && len(rest) == 0 && der.Tag == asn1.TagSequence {
		return nil, fmt.Errorf("%s is DER, want PEM: openssl pkey -inform der -in %s -out key.pem", path, path)
	}
	text, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; want PEM, which begins with -----BEGIN", path, err)
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, fmt.Errorf("%s: the key is encrypted with a password, which nobody types at a start: openssl pkey -in %s -out plain.pem, and chmod 600 plain.pem", path, path)
		}
	}
	if block, _ := pem.Decode(text); block == nil {
		return nil, fmt.Errorf("%s: no PEM in it: want a file with -----BEGIN", path)
	}
	return text, nil
}

// isPKCS12 recognises the sequence of version 3 and a content that PFX begins with
// (RFC 7292 section 4).
func isPKCS12(b []byte) bool {
	var pfx struct {
		Version int
		Content asn1.RawValue
		Mac     asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(b, &pfx)
	return err == nil && pfx.Version == 3 && pfx.Content.Tag == asn1.TagSequence
}

// KeyPair reads a certificate, with its chain, and its key.
func KeyPair(cert, key string) (tls.Certificate, error) {
	c, err := read(cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	k, err := read(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	switch {
	case !bytes.Contains(c, []byte("BEGIN CERTIFICATE")):
		return tls.Certificate{}, fmt.Errorf("%s: no certificate in it; is it the key, and %s the certificate?", cert, key)
	case !bytes.Contains(k, []byte("PRIVATE KEY-----")):
		return tls.Certificate{}, fmt.Errorf("%s: no private key in it", key)
	}
	pair, err := tls.X509KeyPair(c, k)
	if err != nil {
		return pair, fmt.Errorf("%s with the key %s: %w", cert, key, err)
	}
	return pair, nil
}

// Authorities reads certificates of authorities.
func Authorities(path string) (*x509.CertPool, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", path)
	}
	return pool, nil
}

// maxFile is far more than a chain of certificates has.
const maxFile = 4 << 20

func read(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, errors.New(path + ": more than 4 MiB, which no certificate has")
	}
	return PEM(path, b)
}
