package textfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asUTF16 is a text of the BMP in UTF-16.
func asUTF16(text string, big bool) string {
	var b strings.Builder
	for _, r := range text {
		hi, lo := byte(r>>8), byte(r)
		if big {
			b.Write([]byte{hi, lo})
		} else {
			b.Write([]byte{lo, hi})
		}
	}
	return b.String()
}

func TestDecode(t *testing.T) {
	t.Parallel()
	const want = "a: ä\nb: €\n"
	windows := strings.ReplaceAll(want, "\n", "\r\n")
	for name, in := range map[string]string{
		"UTF-8": want, "CR LF": windows, "byte order mark": "\xef\xbb\xbf" + windows,
		"UTF-16, little": "\xff\xfe" + asUTF16(windows, false), "UTF-16, big": "\xfe\xff" + asUTF16(windows, true),
		"UTF-16 without a mark": asUTF16(windows, false), "UTF-16, big, without a mark": asUTF16(windows, true),
	} {
		if got, err := Decode([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for in, want := range map[string]string{
		"a: \xe4\n": "save it as UTF-8", "a\x00b\x00\x00": "no text", "abc\x00": "no text", "\xff\xfea\x00b": "no text",
	} {
		if got, err := Decode([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v, want %s", in, got, err, want)
		}
	}
	if got, err := Decode(nil); err != nil || len(got) != 0 {
		t.Errorf("nothing: %q, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\xff\xfea\x00"))
	f.Add([]byte("\xef\xbb\xbfa\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := Decode(b); err == nil && len(got) > 3*len(b) {
			t.Errorf("%q: %d bytes of %d", b, len(got), len(b))
		}
	})
}

func TestFirstLine(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"pass word", "pass word\nmore", "pass word\r\n", "\xef\xbb\xbfpass word\r\n", "\xff\xfe" + asUTF16("pass word\r\n", false), "pass word\r"} {
		if got, err := FirstLine([]byte(in)); err != nil || got != "pass word" {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "\n", "\r\n", "\xef\xbb\xbf\n", "\xe4\n"} {
		if got, err := FirstLine([]byte(in)); err == nil {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// pki writes a certificate and its key, as they are and as they should not be.
type pki struct {
	t   *testing.T
	dir string
}

func (p pki) file(name string, b []byte) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p pki) pair() (cert, key []byte) {
	p.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	form := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotAfter: time.Now().Add(time.Hour)}
	if cert, err = x509.CreateCertificate(rand.Reader, &form, &form, private.Public(), private); err != nil {
		p.t.Fatal(err)
	}
	if key, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		p.t.Fatal(err)
	}
	return cert, key
}

func block(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }

// Files of certificates and keys are read as they are exported, or refused with
// what helps.
func TestPEM(t *testing.T) {
	t.Parallel()
	p := pki{t, t.TempDir()}
	der, keyDER := p.pair()
	_, other := p.pair()
	cert, key := block("CERTIFICATE", der), block("PRIVATE KEY", keyDER)
	c, k := p.file("c.pem", cert), p.file("k.pem", key)
	crlf := []byte(strings.ReplaceAll(string(cert), "\n", "\r\n"))
	for name, b := range map[string][]byte{
		"pem": cert, "der": der, "bom": append([]byte("\xef\xbb\xbf"), crlf...), "crlf": crlf,
		"utf16": []byte("\xff\xfe" + asUTF16(string(crlf), false)), "text before": append([]byte("Bag Attributes\n"), cert...),
	} {
		path := p.file("x-"+name, b)
		if _, err := Authorities(path); err != nil {
			t.Errorf("authority, %s: %v", name, err)
		}
		if _, err := KeyPair(path, k); err != nil {
			t.Errorf("certificate, %s: %v", name, err)
		}
	}
	pfx, err := asn1.Marshal(struct {
		Version int
		Content struct{ Type asn1.ObjectIdentifier }
	}{3, struct{ Type asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	old := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte{1}})
	for _, tc := range []struct{ name, cert, key, want string }{
		{"PKCS #12", p.file("c.p12", pfx), k, "openssl pkcs12 -in"},
		{"encrypted, PKCS #8", c, p.file("e8.pem", block("ENCRYPTED PRIVATE KEY", keyDER)), "the key is encrypted with a password"},
		{"encrypted, PKCS #1", c, p.file("e1.pem", old), "openssl pkey -in"},
		{"key in DER", c, p.file("k.der", keyDER), "is DER, want PEM"},
		{"swapped", k, c, "is it the key, and"},
		{"two certificates", c, c, "no private key in it"},
		{"another key", c, p.file("o.pem", block("PRIVATE KEY", other)), "does not match"},
		{"no text", p.file("bin", []byte{1, 2, 0, 3, 0}), k, "want PEM"},
		{"text", p.file("txt", []byte("hello")), k, "no PEM in it"},
		{"no file", filepath.Join(p.dir, "none"), k, "no such file"},
	} {
		if _, err := KeyPair(tc.cert, tc.key); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
	}
	if _, err := Authorities(k); err == nil || !strings.Contains(err.Error(), "no certificate in it") {
		t.Errorf("a key as authority: %v", err)
	}
}
