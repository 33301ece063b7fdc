package wire

import (
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// Kinds of values that members have (W-44). What is not there is left out: a value
// that says nothing is refused.

// textOf is a printable str of 1 to most bytes.
type textOf struct {
	p    *string
	most int
}

func (v textOf) set() bool                  { return *v.p != "" }
func (v textOf) check() error               { return checkText(*v.p, v.most) }
func (v textOf) put(b []byte) []byte        { return appendStr(b, *v.p) }
func (v textOf) get(r *reader, name string) { *v.p = r.text(name, v.most) }

func checkText(s string, most int) error {
	if s == "" || len(s) > most || !printable([]byte(s)) {
		return fmt.Errorf("%s: want 1 to %d bytes of printable text", short(s), most)
	}
	return nil
}

// MaxContract is the most bytes that a contract has.
const MaxContract = 96 << 10

// contractOf is a str that is a JSON object, of 1 to MaxContract bytes. What it says is
// not this package's.
type contractOf struct{ p *json.RawMessage }

func (v contractOf) set() bool { return len(*v.p) > 0 }

func (v contractOf) check() error {
	if b := *v.p; len(b) > MaxContract || len(b) == 0 || b[0] != '{' || !json.Valid(b) {
		return fmt.Errorf("want a JSON object of at most %d bytes", MaxContract)
	}
	return nil
}

func (v contractOf) put(b []byte) []byte        { return appendStr(b, string(*v.p)) }
func (v contractOf) get(r *reader, name string) { *v.p = r.raw(name, MaxContract) }

// hashOf is a bin32 that is not zero.
type hashOf struct{ p *model.Hash }

func (v hashOf) set() bool { return !v.p.IsZero() }
func (v hashOf) check() error {
	if v.p.IsZero() {
		return fmt.Errorf("a hash of zeros")
	}
	return nil
}
func (v hashOf) put(b []byte) []byte        { return appendBin(b, v.p[:]) }
func (v hashOf) get(r *reader, name string) { r.fixed(name, v.p[:], false) }

// textsOf is an array of 1 to n texts that ascend.
type textsOf struct {
	p       *[]string
	n, most int
}

func (v textsOf) set() bool { return len(*v.p) > 0 }

func (v textsOf) check() error {
	list := *v.p
	if len(list) == 0 || len(list) > v.n {
		return fmt.Errorf("want 1 to %d texts, got %d", v.n, len(list))
	}
	for i, s := range list {
		if err := checkText(s, v.most); err != nil {
			return err
		}
		if i > 0 && s <= list[i-1] {
			return fmt.Errorf("%s does not come after %s", short(s), short(list[i-1]))
		}
	}
	return nil
}

func (v textsOf) put(b []byte) []byte {
	b = appendArray(b, len(*v.p))
	for _, s := range *v.p {
		b = appendStr(b, s)
	}
	return b
}

func (v textsOf) get(r *reader, name string) {
	n := r.count(name, v.n)
	list := make([]string, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		list = append(list, r.text(name, v.most))
	}
	*v.p = list
}

// numbersOf are named numbers, as metrics are.
type numbersOf struct{ p *map[string]float64 }

func (v numbersOf) set() bool { return len(*v.p) > 0 }

func (v numbersOf) check() error {
	if len(*v.p) == 0 {
		return fmt.Errorf("want at least one number")
	}
	return checkMetrics(*v.p)
}

func (v numbersOf) put(b []byte) []byte { return appendMetrics(b, *v.p) }

func (v numbersOf) get(r *reader, name string) {
	m, bad := r.metrics()
	if bad != "" {
		r.refuse(ReasonNotFinite, StageSchema, "%s: %s is not a finite number", name, short(bad))
	}
	*v.p = m
}

// numberOf is an integer from 1 up.
type numberOf struct{ p *uint64 }

func (v numberOf) set() bool { return *v.p != 0 }
func (v numberOf) check() error {
	if *v.p == 0 {
		return fmt.Errorf("want 1 at least")
	}
	return nil
}
func (v numberOf) put(b []byte) []byte        { return appendUint(b, *v.p) }
func (v numberOf) get(r *reader, name string) { *v.p = r.uint64(name) }
