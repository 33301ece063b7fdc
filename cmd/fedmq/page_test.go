package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdPage writes the fenced code that follows a mark in a page of docs to a
// file, with words replaced: page howto/x.md conf:x file [old new]...
func cmdPage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args)%2 == 0 {
		ts.Fatalf("usage: page howto/x.md mark file [old new]...")
	}
	text, err := os.ReadFile("../../docs/" + args[0])
	ts.Check(err)
	_, after, ok := strings.Cut(string(text), "\n<!-- "+args[1]+" -->\n```")
	_, after, _ = strings.Cut(after, "\n")
	code, _, end := strings.Cut(after, "```\n")
	if !ok || !end {
		ts.Fatalf("docs/%s has no code after %s", args[0], args[1])
	}
	for i := 3; i < len(args); i += 2 {
		if !strings.Contains(code, args[i]) {
			ts.Fatalf("docs/%s, %s: no %q", args[0], args[1], args[i])
		}
		code = strings.ReplaceAll(code, args[i], strings.ReplaceAll(args[i+1], `\n`, "\n"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(code), 0o600))
}

// cmdGencert makes plant-ca.pem, broker.pem and broker.key for 127.0.0.1.
func cmdGencert(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: gencert")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "plant"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	ts.Check(err)
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	der, err = x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("plant-ca.pem"), public, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("broker.pem"), public, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("broker.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}
