package wire

import (
	"testing"

	"github.com/fedmq/fedmq/model"
)

// encodingCases have updates whose values travel in another encoding, and what asks for them.
func encodingCases(t *testing.T) []vector {
	t.Helper()
	order, join, inline, offer := testOrder(), testJoin(t), testUpdate(t), testOffer(t)
	order.Encoding, join.Encodings = "q8", []string{"q8", "topk"}
	keep, share := testOrder(), testOrder()
	keep.Keep, share.Share = []string{"*bn*", "*norm*"}, []string{"layers.*"}
	whole := inline.Tensors.Blob
	inline.Encoding, inline.Tensors = "q8", &model.Model{Schema: inline.Tensors.Schema, Blob: whole[:5]}
	offer.Encoding, offer.Length, offer.Blob.Length = "q8", offer.Blob.Length-1, offer.Blob.Length-1
	var list []vector
	for _, v := range []struct {
		op, name, comment string
		m                 Message
	}{
		{KindOrder, "order-member-encoding", "An order that wants another encoding of updates.", order},
		{KindOrder, "order-member-keep", "An order that names tensors which stay.", keep},
		{KindOrder, "order-member-share", "An order that names tensors which are shared.", share},
		{KindJoin, "join-member-encodings", "A join that says which encodings the site can make.", join},
		{KindUpdate, "update-encoded", "An update whose blob is 5 bytes of an encoding.", inline},
		{KindUpdate, "offer-encoded", "An offer whose parts are bytes of an encoding.", offer},
	} {
		list = append(list, vector{name: v.name, comment: v.comment, op: v.op, expect: accepted, data: encode(t, v.m)})
	}
	bad := func(name, comment string, m Message) {
		list = append(list, bodyCase(KindUpdate, name, comment, m.appendTo(nil)))
	}
	long, none, dense, extra, short, lost := inline, inline, testOffer(t), inline, offer, offer
	long.Tensors = &model.Model{Schema: inline.Tensors.Schema, Blob: whole}
	none.Tensors = &model.Model{Schema: inline.Tensors.Schema}
	dense.Length, extra.Length, short.Length, lost.Length = 5, 5, dense.Blob.Length, 0
	bad("encoded-long", "An encoding that is not smaller than the values.", long)
	bad("encoded-empty", "An encoding of no bytes.", none)
	bad("encoded-length", "An inline update that says how long its blob is.", extra)
	bad("offer-length", "An offer without an encoding that says how long its blob is.", dense)
	bad("offer-encoded-long", "An offer of an encoding that is not smaller than the values.", short)
	bad("offer-encoded-lost", "An offer of an encoding that does not say how long it is.", lost)
	return list
}
