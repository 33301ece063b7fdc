package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// floor is what a round cannot beat: the model from the folder through the
// relay to every sender, an update from every sender through the relay to the
// folder, each hashed where it leaves and where it arrives, and one fold. There
// is no disk, no protocol and no training.
//
// Its parties live beside the federation's. In a turn it runs while the
// federation waits, between two turns it waits itself.
type floor struct {
	crew   *crew
	talk   io.Writer
	folder *member
	turns  []floorTurn
	first  []peerUsage // of each party, before the first turn
	last   []peerUsage // of each, after the last
}

// floorTurn is what came of one turn.
type floorTurn struct {
	laps []float64 // seconds of those that count
	all  int       // laps with those that do not
	cpu  float64   // of this process
}

// settleLaps is how many laps of a turn do not count: the first finds the caches
// full of something else, as does the round after it.
const settleLaps = 1

// startFloor starts as many processes as the federation's, and warms them up.
func (r *Round) startFloor(ctx context.Context, c *crew) (*floor, error) {
	f := &floor{crew: c, talk: r.Talk}
	spec := peerSpec{Role: "relay", Name: "relay", Params: r.Params, Seed: r.Seed, Sites: r.Sites}
	if _, err := c.start(ctx, spec); err != nil {
		return nil, err
	}
	var err error
	if spec.Address, err = c.readies(ctx, 1); err != nil {
		return nil, err
	}
	spec.Role = "sender"
	for i := range r.Sites {
		spec.Site, spec.Name = i, fmt.Sprintf("sender-%05d", i+1)
		if _, err := c.start(ctx, spec); err != nil {
			return nil, err
		}
	}
	spec.Role, spec.Name = "folder", "folder"
	if f.folder, err = c.start(ctx, spec); err != nil {
		return nil, err
	}
	if _, err := c.readies(ctx, r.Sites+1); err != nil {
		return nil, err
	}
	if _, err := f.lap(ctx); err != nil {
		return nil, err
	}
	f.first, err = f.usage(ctx)
	return f, err
}

// turn runs laps, of which the last n count.
func (f *floor) turn(ctx context.Context, n int) error {
	t := floorTurn{all: settleLaps + n}
	before, _ := processUsage()
	for i := range t.all {
		s, err := f.lap(ctx)
		if err != nil {
			return err
		}
		if i >= settleLaps {
			t.laps = append(t.laps, s)
		}
	}
	after, _ := processUsage()
	t.cpu = after - before
	f.turns = append(f.turns, t)
	return nil
}

// lap runs one and returns its seconds.
func (f *floor) lap(ctx context.Context) (float64, error) {
	if err := f.folder.asks.Encode(askGo); err != nil {
		return 0, err
	}
	for {
		h, err := f.crew.next(ctx)
		if err != nil {
			return 0, err
		}
		if h.Lap != nil {
			fmt.Fprintf(f.talk, "\rfloor: %.3f s\x1b[K", *h.Lap)
			return *h.Lap, nil
		}
	}
}

// usage asks every party for its own, in the order in which they started.
func (f *floor) usage(ctx context.Context) ([]peerUsage, error) {
	f.crew.ask(askUsage)
	of := map[*member]peerUsage{}
	for len(of) < len(f.crew.members) {
		h, err := f.crew.next(ctx)
		if err != nil {
			return nil, err
		}
		if h.Usage != nil {
			of[h.from] = *h.Usage
		}
	}
	out := make([]peerUsage, 0, len(of))
	for _, m := range f.crew.members {
		out = append(out, of[m])
	}
	return out, nil
}

// floorRoles are the federation's roles for the floor's.
var floorRoles = map[string]string{"folder": "aggregator", "relay": "broker", "sender": "site"}

// addTo fills in what the floor measured.
func (f *floor) addTo(res *Result, processes bool) {
	all, within := 0, 0.0
	for _, t := range f.turns {
		res.Laps = append(res.Laps, t.laps...)
		all, within = all+t.all, within+t.cpu
	}
	res.Floor = medianOf(res.Laps)
	res.WallOver = over(res.Median, res.Floor)
	if !processes {
		res.FloorCPU = within / float64(all)
		res.CPUOver = over(res.CPU, res.FloorCPU)
		return
	}
	rss := map[string]float64{}
	for i, m := range f.crew.members {
		res.FloorCPU += (f.last[i].CPU - f.first[i].CPU) / float64(all)
		role := floorRoles[m.spec.Role]
		rss[role] = max(rss[role], float64(f.last[i].RSS)/1e6)
	}
	res.FloorRSS, res.CPUOver = byRole(rss), over(res.CPU, res.FloorCPU)
}

// over is a ratio; 0 where the floor's part of it is not known.
func over(of, floor float64) float64 {
	if floor == 0 {
		return 0
	}
	return of / floor
}

// cpuWithin is what this process spent in the turns.
func (f *floor) cpuWithin() (s float64) {
	for _, t := range f.turns {
		s += t.cpu
	}
	return s
}

// medianOf is the median of a list in any order.
func medianOf(list []float64) float64 {
	return median(slices.Sorted(slices.Values(list)))
}
