package wire

import "github.com/fedmq/fedmq/model"

// BlobView is a blob for people.
type BlobView struct {
	ID     model.Hash `json:"id"`
	Length uint64     `json:"length"`
	Data   uint32     `json:"data"`
	Parts  int        `json:"parts"`
}

// ManifestView is a manifest without its tensors.
type ManifestView struct {
	Version uint64     `json:"version"`
	Schema  model.Hash `json:"schema"`
	Slot    uint32     `json:"slot"`
	Blob    BlobView   `json:"blob"`
	ModelMembers
}

// OfferView is an offer without its tensors.
type OfferView struct {
	Samples uint64             `json:"samples"`
	Metrics map[string]float64 `json:"metrics"`
	Content model.Hash         `json:"content"`
	Blob    BlobView           `json:"blob"`
	UpdateMembers
}

// PartView is a part without its data.
type PartView struct {
	Blob  BlobKey    `json:"blob"`
	Index uint32     `json:"index"`
	Count uint32     `json:"count"`
	Bytes int        `json:"bytes"`
	Hash  model.Hash `json:"hash"` // of the data, as a manifest has the start of it
}

func (b Blob) view() BlobView {
	return BlobView{ID: b.ID(), Length: b.Length, Data: b.Data, Parts: b.Count()}
}

// readPart shows a part, which has no envelope.
func (in *Inspection) readPart(payload []byte) error {
	p, err := DecodePart(payload, MaxPart)
	return in.show("part", PartView{p.Blob, p.Index, p.Count, len(p.Data), model.PartOf(p.Data)}, err)
}

func (in *Inspection) readModel(h Header, body []byte) error {
	d, err := decodeModel(body)
	if d == nil {
		return err
	}
	switch m := d.(type) {
	case Model:
		in.Tensors = ViewTensors(m.Tensors, true)
		_ = in.show(tagInline, ModelView{m.Version, m.Tensors.ContentID(), m.Tensors.Schema.Hash(), m.ModelMembers}, nil)
	case Manifest:
		in.Tensors = viewSchema(m.Schema, true)
		_ = in.show(tagManifest, ManifestView{m.Version, m.Schema.Hash(), m.Slot, m.Blob.view(), m.ModelMembers}, nil)
	}
	if err != nil {
		return err
	}
	return d.Matches(h)
}

func (in *Inspection) readUpdate(body []byte) error {
	c, err := DecodeUpdate(body, nil)
	if c == nil {
		return err
	}
	switch u := c.(type) {
	case Update:
		if u.Encoding == "" {
			in.Tensors = ViewTensors(u.Tensors, false)
		} else if u.Tensors != nil {
			in.Tensors = viewSchema(u.Tensors.Schema, false)
		}
		return in.show(tagInline, UpdateView{u.Samples, u.Metrics, u.Content(), u.UpdateMembers}, err)
	case Offer:
		in.Tensors = viewSchema(u.Schema, false)
		return in.show(tagOffer, OfferView{u.Samples, u.Metrics, u.Content, u.Blob.view(), u.UpdateMembers}, err)
	default:
		return in.show(tagDecline, c, err)
	}
}
