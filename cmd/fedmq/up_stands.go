package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// sayWhatBlocks watches the folder's federation and says below the table why a
// task stands, until ctx ends. Without the broker's leave to watch it says
// nothing.
func (u *up) sayWhatBlocks(ctx context.Context, b *upBroker, table upTable) {
	c := u.agg.Connection
	flags := watchFlags{Namespace: c.Namespace, Owner: u.agg.Owner}
	flags.takeFrom(c, u.dir)
	flags.Broker = b.url
	for _, t := range u.agg.Tasks {
		flags.Member = append(flags.Member, t.Members...) // what consumers do blocks nothing
	}
	changed, mark := onePending()
	w, err := flags.open(zerolog.Nop(), "up-watch", mark)
	if err == nil {
		err = w.run(ctx, func(ctx context.Context) error {
			still, seq := newStandstills(), uint64(0)
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-changed:
				}
				if v, ok := w.fed.Since(seq); ok {
					seq = v.Seq
					still.take(v)
				}
				for _, s := range still.say(time.Now()) {
					table.line(s[0], "       "+s[1])
				}
			}
		})
	}
	if err != nil {
		u.log.Debug().Err(err).Msg("nobody says what the tasks wait for")
	}
}
