package pipeline

import (
	"encoding/hex"
	"errors"
	"testing"
)

func boiler() *Contract {
	return &Contract{
		Inputs:   []Input{{Name: "flow", Unit: "m3/h"}, {Name: "mode", Values: []string{"idle", "run"}}},
		Features: []Feature{{Of: "flow", Clip: 100, MissingFlag: true}, {Of: "mode"}},
		Target:   Target{Name: "result", Classes: []string{"ok", "<fault>"}},
		Net:      Net{Tensors: "layers", Output: OutputSoftmax},
	}
}

// The text is what other programs hash, so it is pinned letter by letter.
func TestCanonicalJSON(t *testing.T) {
	c := boiler()
	want := `{"inputs":[{"name":"flow","unit":"m3/h"},{"name":"mode","values":["idle","run"]}],` +
		`"features":[{"of":"flow","clip":100,"missing_flag":true},{"of":"mode"}],` +
		`"target":{"name":"result","classes":["ok","<fault>"]},"net":{"tensors":"layers","output":"softmax"}}`
	if got := string(c.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	again, err := Parse(c.JSON())
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Hash(), again.Hash()
	if hex.EncodeToString(a[:]) != hex.EncodeToString(b[:]) {
		t.Error("the hash of what was read is another")
	}
	if _, err := Parse(append([]byte(" "), c.JSON()...)); !errors.Is(err, ErrContract) {
		t.Errorf("with a blank before it: %v", err)
	}
}

func TestValidateNamesThePlace(t *testing.T) {
	for want, change := range map[string]func(*Contract){
		`bad contract: inputs: want 1 to 131072, not 0`:                                               func(c *Contract) { c.Inputs = nil },
		`bad contract: inputs[1]: "flow" is there twice`:                                              func(c *Contract) { c.Inputs[1] = c.Inputs[0] },
		`bad contract: inputs[1]: "a\x1b[31m" has a control character, want a name that can be shown`: func(c *Contract) { c.Inputs[1].Name = "a\x1b[31m" },
		`bad contract: features[0].of: "flaw" is no input`:                                            func(c *Contract) { c.Features[0].Of = "flaw" },
		`bad contract: target: classes: want 2 to 4096, not 1`:                                        func(c *Contract) { c.Target.Classes = c.Target.Classes[:1] },
		`bad contract: net.output: "softmax", want identity`:                                          func(c *Contract) { c.Target.Classes = nil },
		`bad contract: inputs[1]: want unit or values: a text has no unit`:                            func(c *Contract) { c.Inputs[1].Unit = "bar" },
	} {
		c := boiler()
		change(c)
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
