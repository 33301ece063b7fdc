package record_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func keys(kid [8]byte) (ed25519.PublicKey, bool) {
	pub := key.Public().(ed25519.PublicKey)
	return pub, kid == wire.KeyIDOf(pub)
}

func sample() record.Record {
	return record.Record{
		Owner: "acme", Task: "quality", Round: 1, Attempt: 2, Epoch: 3,
		Verdict: record.Committed, Work: "train",
		Base: model.HashOf([]byte("base")), Model: model.HashOf([]byte("model")), Version: 1,
		OrderHash: record.Hash([]byte("order")),
		Strategy:  record.Strategy{Name: "fedavg", GridB: 6, GridW: 16, Cap: 5490, Weights: "samples"},
		Entries: record.Entries{
			{Member: "oslo/l1", Index: 1, Verdict: verdict.Declined, Detail: `no "data" <yet>`},
			{
				Member: "berlin/l1", Index: 0, Content: model.HashOf([]byte("b")), Samples: 602, Weight: 602,
				Norm: 0.25, Bytes: 900, Verdict: verdict.Counted, Metrics: record.Values{"rmse": 17.5, "loss": math.NaN()},
			},
		},
		Metrics: record.Metrics{"rmse": {Value: 17.5, Sites: 1, Best: 17.5, BestSite: "berlin/l1", Worst: record.Number(math.Inf(1)), WorstSite: ""}},
		BytesUp: 900, BytesDown: 1000, OpenedMS: 1, ClosedMS: 2, CommittedMS: 3, Reason: "all",
	}
}

// Exact bytes, written by hand.
const want = `{"schema":"fedmq.record.v1","owner":"acme","task":"quality","round":1,"attempt":2,"epoch":3,` +
	`"verdict":"committed","work":"train","prev":"",` +
	`"base":"cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2",` +
	`"model":"9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4","version":1,` +
	`"order":"3eeb7e96e59ce40f9cb1a089daba079fd699f6867a30f6634af8570967b2375a",` +
	`"strategy":{"name":"fedavg","grid_b":6,"grid_w":16,"cap":5490,"weights":"samples"},` +
	`"entries":[{"member":"berlin/l1","index":0,` +
	`"content":"3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",` +
	`"samples":602,"weight":602,"norm":0.25,"bytes":900,"verdict":"counted","metrics":{"loss":null,"rmse":17.5}},` +
	`{"member":"oslo/l1","index":1,"verdict":"declined","detail":"no \"data\" <yet>"}],` +
	`"metrics":{"rmse":{"value":17.5,"sites":1,"best":17.5,"best_site":"berlin/l1","worst":null,"worst_site":""}},` +
	`"bytes_up":900,"bytes_down":1000,"opened_ms":1,"closed_ms":2,"committed_ms":3,"reason":"all","security":"unsigned"}`

func mustEncode(t testing.TB, r record.Record) []byte {
	t.Helper()
	b, err := r.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncode(t *testing.T) {
	t.Parallel()
	b := mustEncode(t, sample())
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	r, err := record.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if again := mustEncode(t, r); !bytes.Equal(again, b) {
		t.Errorf("decoded and encoded:\n%s\nwant\n%s", again, b)
	}
	if e := r.Entries[0]; e.Member != "berlin/l1" || !math.IsNaN(e.Metrics["loss"]) || !math.IsNaN(float64(r.Metrics["rmse"].Worst)) {
		t.Errorf("decoded %+v", r)
	}
	if n := r.Counts(); n["counted"] != 1 || n["declined"] != 1 || len(n) != 2 {
		t.Errorf("counts %v", n)
	}
}

// Everything that differs from what Encode writes is refused, though a JSON
// parser would forgive it.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	entry := `{"member":"oslo/l1","index":1,"verdict":"declined","detail":"no \"data\" <yet>"}`
	for name, b := range map[string]string{
		"nothing":             "",
		"null":                "null",
		"array":               "[]",
		"space behind":        want + " ",
		"second document":     want + "{}",
		"space inside":        strings.Replace(want, `"round":1`, `"round": 1`, 1),
		"other case":          strings.Replace(want, `"round"`, `"Round"`, 1),
		"member twice":        strings.Replace(want, `"round":1`, `"round":1,"round":1`, 1),
		"member unknown":      strings.Replace(want, `"round":1`, `"round":1,"x":1`, 1),
		"member missing":      strings.Replace(want, `"attempt":2,`, "", 1),
		"other order":         strings.Replace(want, `"attempt":2,"epoch":3`, `"epoch":3,"attempt":2`, 1),
		"unknown in an entry": strings.Replace(want, `"index":1`, `"index":1,"x":1`, 1),
		"unknown in a metric": strings.Replace(want, `"sites":1`, `"sites":1,"x":1`, 1),
		"other schema":        strings.Replace(want, `record.v1`, `record.v2`, 1),
		"other verdict":       strings.Replace(want, `"committed"`, `"done"`, 1),
		"other member fate":   strings.Replace(want, `"declined"`, `"gone"`, 1),
		"no member fate":      strings.Replace(want, `"declined"`, `""`, 1),
		"long number":         strings.Replace(want, `"norm":0.25`, `"norm":2.5e-1`, 1),
		"zero written":        strings.Replace(want, `"index":1`, `"index":1,"weight":0`, 1),
		"upper-case hash":     strings.Replace(want, "cae66217", "CAE66217", 1),
		"short hash":          strings.Replace(want, "cae66217", "", 1),
		"entry twice":         strings.Replace(want, entry, entry+","+entry, 1),
		"entries backwards":   strings.Replace(want, `"berlin/l1","index"`, `"zagreb/l1","index"`, 1),
		"version":             strings.Replace(want, `"version":1`, `"version":2`, 1),
		"negative":            strings.Replace(want, `"bytes_up":900`, `"bytes_up":-900`, 1),
		"signed by nobody":    strings.Replace(want, `"unsigned"`, `"signed"`, 1),
		"odd signature":       strings.Replace(want, `"unsigned"}`, `"signed","sig":"00"}`, 1),
		"bad UTF-8":           strings.Replace(want, "<yet>", "\xff", 1),
		"escaped for HTML":    strings.Replace(want, "<yet>", `\u003cyet>`, 1),
		"NaN":                 strings.Replace(want, `"norm":0.25`, `"norm":NaN`, 1),
		"too many entries":    strings.Replace(want, entry, strings.Repeat("{},", record.MaxEntries)+"{}", 1),
		"too large":           want + strings.Repeat(" ", record.MaxRecord),
		"deep":                strings.Replace(want, entry, strings.Repeat("[", 1<<20), 1),
	} {
		if b == want {
			t.Fatalf("%s changes nothing", name)
		}
		if r, err := record.Decode([]byte(b)); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", name, r, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*record.Record){
		"no owner":        func(r *record.Record) { r.Owner = "" },
		"no work":         func(r *record.Record) { r.Work = "" },
		"verdict":         func(r *record.Record) { r.Verdict = "" },
		"no model":        func(r *record.Record) { r.Model = model.Hash{} },
		"abandoned model": func(r *record.Record) { r.Verdict = record.Abandoned },
		"abandoned count": func(r *record.Record) {
			r.Verdict, r.Model, r.Version, r.CommittedMS = record.Abandoned, model.Hash{}, 0, 0
		},
		"no member":        func(r *record.Record) { r.Entries[0].Member = "" },
		"member twice":     func(r *record.Record) { r.Entries[1].Member = r.Entries[0].Member },
		"no fate":          func(r *record.Record) { r.Entries[0].Verdict = verdict.None },
		"unknown fate":     func(r *record.Record) { r.Entries[0].Verdict = 200 },
		"counted nothing":  func(r *record.Record) { r.Entries[0].Verdict = verdict.Counted },
		"negative norm":    func(r *record.Record) { r.Entries[0].Norm = -1 },
		"-0 norm":          func(r *record.Record) { r.Entries[0].Norm = record.Number(math.Copysign(0, -1)) },
		"long metric":      func(r *record.Record) { r.Entries[0].Metrics = record.Values{strings.Repeat("m", 65): 1} },
		"long pooled name": func(r *record.Record) { r.Metrics[strings.Repeat("m", 65)] = record.Metric{} },
		"many entries":     func(r *record.Record) { r.Entries = make(record.Entries, record.MaxEntries+1) },
	} {
		r := sample()
		change(&r)
		if b, err := r.Encode(nil); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %s, %v, want ErrMalformed", name, b, err)
		}
	}
}

// What a member or an operator wrote cannot stop a record.
func TestEncodeCleans(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Reason = "a\xffb"
	r.Entries[0].Detail = strings.Repeat("ä", 200)
	r.Entries[0].Norm = record.Number(math.Inf(1))
	r.Entries[0].Metrics = record.Values{}
	first := r.Entries[0].Member
	got, err := record.Decode(mustEncode(t, r))
	if err != nil {
		t.Fatal(err)
	}
	if got.Reason != "a\ufffdb" || got.Entries[1].Detail != strings.Repeat("ä", 128) || !math.IsNaN(float64(got.Entries[1].Norm)) {
		t.Errorf("reason %q, entry %+v", got.Reason, got.Entries[1])
	}
	if r.Entries[0].Member != first || len(r.Entries[0].Detail) != 400 {
		t.Error("Encode changed its record")
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	b, err := sample().Encode(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := record.VerifySig(b, keys); err != nil {
		t.Error(err)
	}
	// The rule read literally: the text before ,"sig": and a brace.
	text, sig, _ := strings.Cut(string(b), `,"sig":`)
	text += "}"
	if text != strings.Replace(want, `"unsigned"`, `"signed"`, 1) {
		t.Errorf("signed text %s", text)
	}
	pae := fmt.Sprintf("DSSEv1 15 fedmq/v1/record %d %s", len(text), text)
	kid := wire.KeyIDOf(key.Public().(ed25519.PublicKey))
	if prefix := fmt.Sprintf(`"%x:`, kid); !strings.HasPrefix(sig, prefix) || len(sig) != 1+16+1+88+2 {
		t.Errorf("sig %s, want the prefix %s", sig, prefix)
	}
	r, err := record.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(r.Sig, base64Of(ed25519.Sign(key, []byte(pae)))) {
		t.Errorf("sig %s is not of %s", r.Sig, pae)
	}
	anyKey := func([8]byte) (ed25519.PublicKey, bool) { return key.Public().(ed25519.PublicKey), true }
	for name, tc := range map[string]struct {
		b    []byte
		keys record.Keys
		want error
	}{
		"unsigned":      {[]byte(want), keys, record.ErrUnsigned},
		"other text":    {bytes.Replace(b, []byte(`"round":1`), []byte(`"round":2`), 1), keys, record.ErrMalformed},
		"other detail":  {bytes.Replace(b, []byte(`<yet>`), []byte(`<now>`), 1), keys, record.ErrSignature},
		"unknown key":   {b, func([8]byte) (ed25519.PublicKey, bool) { return nil, false }, record.ErrSignature},
		"somebody's":    {b, func([8]byte) (ed25519.PublicKey, bool) { return make(ed25519.PublicKey, 32), true }, record.ErrSignature},
		"other key id":  {bytes.Replace(b, fmt.Appendf(nil, "%x:", kid), []byte("0011223344556677:"), 1), anyKey, record.ErrSignature},
		"other sig":     {bytes.Replace(b, []byte(`==`), []byte(`=`), 1), keys, record.ErrMalformed},
		"loose base64":  {loosen(b), keys, record.ErrMalformed},
		"not canonical": {append(b[:len(b):len(b)], ' '), keys, record.ErrMalformed},
	} {
		if err := record.VerifySig(tc.b, tc.keys); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// 256 shortest metrics, then the same with millions more: what is decoded stays
// within a small multiple of the input.
func TestDecodeAllocation(t *testing.T) {
	for name, b := range map[string]string{
		"entries": `{"entries":[` + strings.Repeat("{},", 1<<20) + `{}]}`,
		"metrics": `{"metrics":{` + strings.Repeat(`"":{},`, 1<<20) + `"":{}}}`,
		"values":  `{"entries":[{"metrics":{` + strings.Repeat(`"":1,`, 1<<20) + `"":1}}]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := record.Decode([]byte(b))
		runtime.ReadMemStats(&after)
		n := after.TotalAlloc - before.TotalAlloc
		if err == nil || n > 12*uint64(len(b))+8<<20 {
			t.Errorf("%s: %d bytes allocated for %d: %v", name, n, len(b), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(want))
	signed, err := sample().Encode(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := record.Decode(b)
		if err != nil {
			return
		}
		again, err := r.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Security == record.Unsigned && !bytes.Equal(again, b) {
			t.Errorf("%s is written as %s", b, again)
		}
		if _, err := record.HeadOf(b, nil); err != nil {
			t.Errorf("no head: %v", err)
		}
		_ = record.VerifySig(b, keys)
	})
}
