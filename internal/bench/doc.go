// Package bench measures on this machine what a round of a federation costs
// ([Round]), and how fast its kernels are ([Fold], [Codec]). docs/ref/bench.md
// says what the figures mean.
//
// The parties of a round are real: a broker, an aggregator and sites with data
// directories, in this process or each in its own, which is this program that
// calls [RunPeer]. The package never prints: it returns results.
package bench

import "github.com/fedmq/fedmq/model"

// tensor is the only tensor of the models here.
const tensor = "weight"

// zeros returns a model of zeros with n parameters.
func zeros(n int) (*model.Model, error) {
	schema, err := model.NewSchema(model.Spec{Name: tensor, Shape: []int{n}})
	if err != nil {
		return nil, err
	}
	return model.New(schema), nil
}
