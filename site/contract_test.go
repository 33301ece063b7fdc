package site

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/wire"
)

// knowing is a trainer that says what it means by a model.
type knowing struct {
	*fake
	contract *pipeline.Contract
}

func (k *knowing) Contract() *pipeline.Contract { return k.contract }

// A contract that is too long for a join is left out of it, and that is said, once.
func TestContractTooLongForAJoin(t *testing.T) {
	t.Parallel()
	c := &pipeline.Contract{Target: pipeline.Target{Name: "y"}, Net: pipeline.Net{Output: pipeline.OutputIdentity}}
	for i := range 500 {
		c.Inputs = append(c.Inputs, pipeline.Input{Name: fmt.Sprintf("%d%s", i, strings.Repeat("x", 240))})
	}
	for _, fits := range []bool{true, false} {
		bubble.Test(t, func(t *testing.T) {
			h := newHub(t)
			var lines bytes.Buffer
			tr := &knowing{&fake{}, c}
			if fits {
				short := *c
				short.Inputs = c.Inputs[:300]
				tr.contract = &short
			}
			cfg := h.config(tr.fake)
			cfg.Tasks[0].Trainer, cfg.Log = tr, zerolog.New(&lines)
			stop := h.life(cfg)
			_, body := h.open("join", h.payloads("join")[0])
			j, err := wire.DecodeJoin(body)
			if err != nil || (len(j.Contract) > 0) != fits {
				t.Errorf("fits: %v, the join has %d bytes of it, %v", fits, len(j.Contract), err)
			}
			h.welcome()
			h.reply(wire.RefusalReply{Reason: "unknown_member"}) // it joins again
			time.Sleep(time.Minute)
			if n := len(h.payloads("join")); n < 2 {
				t.Errorf("%d joins", n)
			}
			if n := strings.Count(lines.String(), "too long to be told"); n != map[bool]int{false: 1}[fits] {
				t.Errorf("fits: %v, said %d times", fits, n)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
