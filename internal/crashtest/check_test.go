//go:build fedmqtest

package crashtest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// outcome is what a federation left behind.
type outcome struct {
	models       []string // of the committed rounds, with what the round measured
	adopted      uint64   // the round of an adopted record: what was promised before it is lost by decision
	lost, double int      // updates that were promised and not counted, or counted twice
	problems     []string
}

func (o *outcome) bad(format string, args ...any) {
	o.problems = append(o.problems, fmt.Sprintf(format, args...))
}

// outcome reads the records that the aggregator has exported, checks their
// chain, and holds them against what the members were promised.
func (c *cluster) outcome() outcome {
	c.t.Helper()
	var o outcome
	files, err := filepath.Glob(filepath.Join(c.dir, "agg", "records", task, "*.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	counted := map[receipt]int{}
	named := map[receipt]bool{}
	var raws [][]byte
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		raws = append(raws, raw)
		r, err := record.Decode(raw)
		if err != nil {
			o.bad("%s: %v", name, err)
			continue
		}
		o.take(r, counted, named)
		if r.Verdict == record.Committed {
			c.checkBlob(&o, r.Model)
		}
	}
	if err := record.CheckChain(raws); err != nil {
		o.bad("%v", err)
	}
	c.verify(&o)
	for r := range c.watch.receipts {
		if key := (receipt{r.member, 0, r.content}); counted[key] == 0 && !named[key] && r.round > o.adopted {
			o.lost++
			o.bad("round %d: %s has a receipt for %s, of which no record speaks", r.round, r.member, r.content)
		}
	}
	for r, n := range counted {
		if n > 1 {
			o.double++
			o.bad("%s of %s is counted %d times", r.content, r.member, n)
		}
	}
	return o
}

// verify has fedmq itself check the records, and make the models again where the
// updates were kept.
func (c *cluster) verify(o *outcome) {
	bin, err := fedmq()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(bin, "verify", "agg")
	cmd.Dir = c.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		o.bad("fedmq verify: %v: %s", err, out)
	}
}

// take notes what a record says.
func (o *outcome) take(r record.Record, counted map[receipt]int, named map[receipt]bool) {
	if r.Verdict == record.Adopted {
		o.adopted = r.Round
	}
	if r.Verdict != record.Committed {
		return
	}
	who := ""
	for _, e := range r.Entries {
		if e.Verdict == verdict.Counted {
			counted[receipt{e.Member, 0, e.Content}]++ // in whatever round
			who += " " + e.Member
		} else if !e.Content.IsZero() {
			named[receipt{e.Member, 0, e.Content}] = true
		}
	}
	o.models = append(o.models, fmt.Sprintf("round %d: %s of%s, rmse %v", r.Round, r.Model, who, r.Metrics["rmse"].Value))
}

// checkBlob holds a model on disk against its name.
func (c *cluster) checkBlob(o *outcome, id model.Hash) {
	name := hex.EncodeToString(id[:])
	raw, err := os.ReadFile(filepath.Join(c.dir, "agg", "blobs", name[:2], name))
	if errors.Is(err, fs.ErrNotExist) && c.shape.Keep == "none" {
		return // only the last ones are kept
	}
	if err != nil || model.ContentOf(raw) != id {
		o.bad("model %s: %v, or other bytes", id, err)
	}
}

// same compares with the undisturbed run.
func (o *outcome) same(want outcome) {
	if len(o.models) != len(want.models) {
		o.bad("%d committed rounds, want %d", len(o.models), len(want.models))
		return
	}
	for i, m := range o.models {
		if m != want.models[i] {
			o.bad("%s, want %s", m, want.models[i])
		}
	}
}
