package wire

import (
	"cmp"
	"math"
	"slices"

	"github.com/fedmq/fedmq/model"
)

// Offer is a site's contribution in parts (W-37): what it is, and the hashes
// of the parts that the site sends when they are granted.
type Offer struct {
	Samples uint64             // as in an Update
	Metrics map[string]float64 // as in an Update
	Schema  model.Schema       // of the tensors
	Content model.Hash         // of all parts together
	Blob    Blob               // of Schema.Bytes() bytes; with an encoding of fewer, which are its Length
	UpdateMembers
}

const (
	tagOffer    = "offer"
	offerFields = 8
)

func (Offer) contribution() {}

func (o Offer) check() error {
	if o.Encoding != "" {
		return cmp.Or(checkMetrics(o.Metrics), checkSchema(o.Schema), o.Blob.check(), o.checkEncoded(o.Schema.Bytes(), int(o.Blob.Length), o.Blob.Length))
	}
	return cmp.Or(checkMetrics(o.Metrics), checkSchema(o.Schema), o.Blob.ofSchema(o.Schema.Bytes()), o.checkEncoded(0, 0, 0))
}

func (o Offer) appendTo(b []byte) []byte {
	b = slices.Grow(b, 64+48*len(o.Metrics)+64*len(o.Schema)+len(o.Blob.Hashes))
	b = appendStr(appendArray(b, offerFields), tagOffer)
	b = appendUint(b, o.Samples)
	b = appendMetrics(b, o.Metrics)
	b = appendTable(b, o.Schema)
	b = appendBin(b, o.Content[:])
	return appendMembers(o.Blob.appendCut(b), o.members())
}

func decodeOffer(r *reader, want model.Schema) (Contribution, error) {
	o := Offer{Samples: r.uint64("samples")}
	var bad string
	o.Metrics, bad = r.metrics()
	t := table{want: want, any: want == nil}
	t.read(r)
	o.Content = r.content(false)
	o.Blob = r.cutOf()
	r.members(updateMembers(&o.UpdateMembers))
	length := uint64(0)
	if o.Blob.Length = t.size; o.Encoding != "" {
		o.Blob.Length, length = o.Length, o.Length
	}
	if err := o.checkEncoded(int(t.size), int(min(o.Blob.Length, math.MaxInt)), length); err != nil && r.err == nil { // below MaxInt
		r.malformed("blob: %v", err)
	}
	r.holds(o.Blob)
	o.Schema = t.schema(r)
	if bad != "" {
		r.refuse(ReasonNotFinite, StageSchema, "metric %s is not a finite number", short(bad))
	}
	if err := r.close(); err != nil {
		return nil, err
	}
	return o, r.lacking()
}
