package wire

import (
	"slices"
	"testing"
)

// A canary says since when it is one and who obeys it, inline and as a manifest.
func TestCanaryMembers(t *testing.T) {
	t.Parallel()
	with := ModelMembers{BeganMS: 1_800_000_000_000, To: []string{"berlin/#", "munich/+"}}
	inline, parts := Model{Version: 7, Tensors: testModel(t)}, testManifest(t)
	inline.ModelMembers, parts.ModelMembers = with, with
	for _, m := range []Message{inline, parts} {
		d, err := DecodeModel(encode(t, m), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var got ModelMembers
		switch d := d.(type) {
		case Model:
			got = d.ModelMembers
		case Manifest:
			got = d.ModelMembers
		}
		if got.BeganMS != with.BeganMS || !slices.Equal(got.To, with.To) {
			t.Errorf("%+v", got)
		}
	}
	inline.To = []string{"munich/+", "berlin/#"}
	if _, err := Encode(inline); err == nil {
		t.Error("filters that do not ascend were encoded")
	}
}
