package aggregator

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/wire"
)

// checkContract holds a contract against the tensors of a model.
func checkContract(c *pipeline.Contract, s model.Schema) error {
	p, err := pipeline.New(*c)
	if err == nil {
		err = c.Travels()
	}
	if err != nil {
		return err
	}
	return p.CheckShapes(s.Shape)
}

// agree takes the configured contract for the task's, which is another's only before
// anything was trained under that.
func (t *task) agree(st *round.State) error {
	c := t.cfg.Contract
	if c == nil {
		return nil
	}
	if had := st.Contract; had != nil && st.Version > 0 && !c.Equal(had.Contract) {
		return fmt.Errorf("contract: the model was trained under another, and another is a new task: %s",
			strings.Join(pipeline.Differences("the configuration", c, had.Contract), "; "))
	}
	st.Contract = &round.Agreed{Contract: c}
	return nil
}

// contractOf reads what a site's trainer tells. What cannot be used is refused, and
// what would be the task's and does not fit the model's tensors.
func (t *task) contractOf(member string, raw json.RawMessage) (*pipeline.Contract, *wire.RefusalReply) {
	if raw == nil {
		return nil, nil
	}
	c, err := pipeline.Parse(raw)
	if err == nil && t.state.Contract == nil {
		err = checkContract(c, t.cfg.Init.Schema)
	}
	if err != nil {
		return nil, &wire.RefusalReply{Reason: verdict.ContractMismatch.String(), Detail: member + ": " + err.Error()}
	}
	return c, nil
}

// contract is the one that goes with the model, nil: not known.
func (t *task) contract() json.RawMessage {
	if t.state.Contract == nil {
		return nil
	}
	return t.state.Contract.JSON()
}

// sayNoRoom logs once that the contract does not go with the model: sites that list no
// features take them from it.
func (t *task) sayNoRoom() {
	if !t.published.noRoom || !t.once("no room") {
		return
	}
	t.log.Warn().Int("contract_bytes", len(t.contract())).Int("part_size", t.a.cfg.PartSize).
		Msg("the contract has no room in a message of the model, of what trains or what is released, and does not go with it: sites that list no features cannot take part, and who uses the model does not learn what it means; a larger part_size, or shorter names mend that")
}

// contractView is what people are shown of it.
func contractView(a *round.Agreed) *view.Contract {
	if a == nil {
		return nil
	}
	v := &view.Contract{Hash: a.Sum(), From: a.From, Inputs: len(a.Inputs), Names: a.Names(), Target: a.Target.Name, Classes: a.Target.Classes}
	v.Names = v.Names[:min(len(v.Names), named)]
	return v
}
