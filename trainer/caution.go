package trainer

import "github.com/fedmq/fedmq/model"

// Cautious is an optional part of a Trainer that sees what will not go well with a model.
type Cautious interface {
	// Caution says what of its rows does not suit global, and what helps; "": nothing. A
	// site asks before each work with the trainer, tells its people so, once, and works all
	// the same.
	Caution(global *model.Model) string
}

// CautionOf is what t says of a model, "" if it says nothing.
func CautionOf(t Trainer, global *model.Model) string {
	if c, ok := t.(Cautious); ok {
		return c.Caution(global)
	}
	return ""
}
