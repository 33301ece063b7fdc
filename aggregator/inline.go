package aggregator

import "github.com/fedmq/fedmq/model"

// fitsInline reports whether a model, or an update, of this schema goes in one
// message of partSize bytes.
func fitsInline(s model.Schema, partSize int) bool {
	return s.Bytes() <= partSize-inlineOverhead(s)
}

// inlineOverhead bounds what envelope and tensor table add to a blob.
func inlineOverhead(s model.Schema) int {
	n := 2 << 10
	for _, spec := range s {
		n += len(spec.Name) + 48 + 9*len(spec.Shape)
	}
	return n
}
