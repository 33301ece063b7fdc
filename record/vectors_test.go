package record

import (
	"crypto/ed25519"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

var update = flag.Bool("update", false, "write testdata/vectors/record anew")

const vectorDir = "../testdata/vectors/record"

// vectors are records and heads to the byte: what each that is refused is refused for,
// "" for those that are read. Those of before there were origins, and trees, are never written anew.
var vectors = map[string]string{
	"record": "", "head": "", "record-before": "", "head-before": "", "record-flat-before": "", "head-flat-before": "",
	"record-ids": "ids", "head-ids": "ids", "record-scalars": "",
	"record-member-policy": "policy", "record-excluded": "", "head-excluded": "",
	"record-member-encoding": "", "record-encoding-name": "encoding", "record-member-staleness": "", "record-member-later": `unknown field "sooner"`,
	"head-member-encodings": "", "head-encodings-order": "does not come after", "head-member-staleness": "", "head-member-policy": "policy",
	"head-member-later": `unknown field "sooner"`,
}

func vectorKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func vectorRecord() Record {
	return Record{
		Schema: SchemaRecord, Security: Unsigned, Owner: "acme", Task: "quality", Round: 3, Attempt: 1, Epoch: 2, Verdict: Committed, Work: "train",
		Base: model.ContentOf([]byte("base")), Model: model.ContentOf([]byte("model")), Version: 3, OrderHash: model.HashOf([]byte("order")),
		Strategy: Strategy{Name: "fedavg", GridB: 6, GridW: 20, Cap: 1000, Weights: "samples", Server: "adam", Thresholds: Values{"clip": 2.5}},
		Entries: Entries{
			{Member: "berlin/line-1", Content: model.ContentOf([]byte("update")), Samples: 602, Weight: 602, Norm: 0.25, Bytes: 900, Verdict: verdict.Counted},
			{Member: "paris/line-1", Index: 1, Verdict: verdict.Missing},
		},
		Metrics: Metrics{}, OpenedMS: 1, ClosedMS: 2, CommittedMS: 3, Reason: "deadline",
		Origin: wire.Nonce{0x0f, 0xed}, State: model.ContentOf([]byte("state")), IDs: IDsTree,
	}
}

// vectorBytes makes the bytes of a case, whatever this version thinks of them.
func vectorBytes(t *testing.T, name string) []byte {
	t.Helper()
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r := vectorRecord()
	hash := model.HashOf([]byte("policy"))
	switch name {
	case "record":
		return must(r.Encode(vectorKey()))
	case "record-ids":
		r.IDs = "sum"
	case "record-member-policy":
		r.Policy = hash
	case "record-excluded":
		r.Excluded = []string{"rome/line-1"}
		return must(r.Encode(vectorKey()))
	case "record-member-encoding":
		r.Entries[0].Encoding = "q8"
		return must(r.Encode(vectorKey()))
	case "record-encoding-name":
		r.Entries[0].Encoding = "q 8"
	case "record-member-staleness":
		r.Entries[0].Staleness = 2
		return must(r.Encode(vectorKey()))
	case "record-scalars":
		r.Entries[0].Scalars = Values{"lr": 0.01, "momentum": 0, "steps": 40}
		return must(r.Encode(vectorKey()))
	case "record-member-later":
		return later(must(compact(r)))
	default:
		return vectorHead(t, name)
	}
	return must(compact(r))
}

func vectorHead(t *testing.T, name string) []byte {
	t.Helper()
	r := vectorRecord()
	switch name {
	case "head-member-encodings":
		r.Entries[0].Encoding = "q8"
	case "head-excluded":
		r.Excluded = []string{"rome/line-1"}
	case "head-member-staleness":
		r.Entries[0].Staleness = 2
	}
	b, err := r.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, whole := vectorKey(), slices.Contains([]string{"head", "head-member-encodings", "head-excluded", "head-member-staleness"}, name)
	if whole {
		b, err = HeadOf(b, key)
	} else {
		b, err = HeadOf(b, nil)
	}
	if err != nil || whole {
		return b
	}
	h, err := DecodeHead(b)
	if err != nil {
		t.Fatal(err)
	}
	switch name {
	case "head-ids":
		h.IDs = "sum"
	case "head-encodings-order":
		h.Encodings = []string{"topk:0.01", "q8"}
	case "head-member-policy":
		h.Policy = model.HashOf([]byte("policy"))
	case "head-member-later":
		return later(b)
	}
	if b, err = compact(h); err != nil {
		t.Fatal(err)
	}
	return b
}

// later adds a member of a later version.
func later(b []byte) []byte {
	return []byte(strings.Replace(string(b), `,"security"`, `,"sooner":1,"security"`, 1))
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for name, refused := range vectors {
		file := filepath.Join(vectorDir, name+".json")
		before := strings.HasSuffix(name, "-before")
		if *update && !before {
			if err := os.WriteFile(file, append(vectorBytes(t, name), '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte(strings.TrimSuffix(string(text), "\n"))
		if !before && string(b) != string(vectorBytes(t, name)) {
			t.Errorf("%s: the file differs from its case", name)
		}
		err = verifyVector(name, b)
		switch {
		case refused == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case refused != "" && (!errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), refused)):
			t.Errorf("%s: %v, want a refusal that names %s", name, err, refused)
		}
	}
}

// verifyVector reads a record or a head, and verifies its signature.
func verifyVector(name string, b []byte) error {
	keys := func([8]byte) (ed25519.PublicKey, bool) {
		pub, ok := vectorKey().Public().(ed25519.PublicKey)
		return pub, ok
	}
	if strings.HasPrefix(name, "head") {
		return VerifyHeadSig(b, keys)
	}
	return VerifySig(b, keys)
}
