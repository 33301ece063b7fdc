package round

import (
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// disagrees refuses a join of another contract than the task's. Who was welcomed
// under the task's is in no later cohort.
func (m *Machine) disagrees(j Join) bool {
	if m.s.Contract == nil || j.Contract == nil || j.Contract.Equal(m.s.Contract.Contract) {
		return false
	}
	why := pipeline.Differences(j.Member, j.Contract, m.s.Contract.Contract)
	m.refuseJoin(j, verdict.ContractMismatch, 0, strings.Join(why, "; "))
	m.leave(Leave{Member: j.Member})
	return true
}

// agree takes the contract of the first member that has one for the task's.
func (m *Machine) agree(j Join) {
	if m.s.Contract != nil || j.Contract == nil {
		return
	}
	m.s.Contract, m.dirty = &Agreed{Contract: j.Contract, From: j.Member}, true
	m.tell(Fact{Kind: FactContract, Member: j.Member, Detail: Summary(j.Contract)})
}

// unknown says of a member that joins what is not compared.
func (m *Machine) unknown(j Join) string {
	if m.s.Contract == nil || j.Contract != nil || !m.s.Contract.Predicts() { // of statistics the columns are the task's
		return ""
	}
	return "its trainer does not tell what it reads: features and classes are not compared with the task's"
}

// Summary is a contract in a line.
func Summary(c *pipeline.Contract) string {
	text := fmt.Sprintf("features %s", pipeline.List(c.Names()))
	switch {
	case c.Target.Classes != nil:
		return fmt.Sprintf("%s; classes of %s: %s", text, c.Target.Name, pipeline.List(c.Target.Classes))
	case c.Target.Unit != "":
		return fmt.Sprintf("%s; target %s in %s", text, c.Target.Name, c.Target.Unit)
	}
	return fmt.Sprintf("%s; target %s", text, c.Target.Name)
}

// Sum is the hash of the contract, zero where there is none.
func (a *Agreed) Sum() (h model.Hash) {
	if a != nil {
		h = a.Hash()
	}
	return h
}
