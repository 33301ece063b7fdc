package member

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/wire"
)

// What sites have on their disks goes on being read.
func TestDiskOfBefore(t *testing.T) {
	t.Parallel()
	const state = `{"Seen":{"Epoch":3,"Round":4,"Attempt":2},"OrderHash":"65c74c15a686187bb6bbf9958f494fc6b80068034a659a9ad44991b08c58f2d2","Instance":"69000000000000000000000000000000","Counter":9,"Welcomed":true,"WelcomeEpoch":3,"Index":5,"FromRound":1,"FromAttempt":1,"Over":{"Key":{"Round":4,"Base":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","Work":"train"},"Attempt":2,"Verdict":"counted","Refused":false}}`
	var s State
	if err := json.Unmarshal([]byte(state), &s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(State{
		Seen: wire.Stamp{Epoch: 3, Round: 4, Attempt: 2}, OrderHash: content("o"), Instance: named("i"), Counter: 9,
		Welcomed: true, WelcomeEpoch: 3, Index: 5, FromRound: 1, FromAttempt: 1,
		Over: Over{Key: Key{4, content("a"), wire.WorkTrain}, Attempt: 2, Verdict: "counted"},
	}, s); diff != "" {
		t.Error(diff)
	}
	const entry = `{"Round":4,"Attempt":2,"Base":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","Work":"train","Content":"0bfe935e70c321c7ca3afc75ce0d0ca2f98b5422e008bb31c00c6d7f1f1c0ad6","Blob":"62000000000000000000000000000000","PartSize":5000}`
	var e Entry
	if err := json.Unmarshal([]byte(entry), &e); err != nil {
		t.Fatal(err)
	}
	if e.Round != 4 || e.Attempt != 2 || e.Base != content("a") || e.Work != wire.WorkTrain || e.Content != content("u") || e.Blob != wire.BlobKey(named("b")) || e.PartSize != 5000 {
		t.Errorf("%+v", e)
	}
}
