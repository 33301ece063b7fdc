package sim

import "slices"

// Shrink returns a smaller plan that fails alike, if it finds one: with fewer
// faults, sites and rounds, and plainer settings. It runs at most so many
// plans.
func Shrink(p Plan, bugs Bugs, runs int) Plan {
	first := Run(p, bugs).Failure
	fails := func(q Plan) bool {
		if runs--; runs < 0 {
			return false
		}
		f := Run(q, bugs).Failure
		return f != nil && f.Invariant == first.Invariant
	}
	for smaller := true; smaller && runs > 0; {
		smaller = false
		for _, q := range p.smaller() {
			if fails(q) {
				p, smaller = q, true
				break
			}
		}
	}
	return p
}

// smaller lists plans that have a little less, the largest steps first.
func (p Plan) smaller() (list []Plan) {
	for n := len(p.Faults); n > 0; n /= 2 {
		for at := 0; at < len(p.Faults); at += n {
			q := p
			q.Faults = slices.Delete(slices.Clone(p.Faults), at, min(at+n, len(p.Faults)))
			list = append(list, q)
		}
	}
	for i := len(p.Sites) - 1; i >= 0 && len(p.Sites) > 1; i-- {
		list = append(list, p.without(i))
	}
	if p.Rounds > 1 {
		q := p
		q.Rounds--
		list = append(list, q)
	}
	return append(list, p.plainer()...)
}

// without is the plan without one site.
func (p Plan) without(i int) Plan {
	q := p
	q.Sites = slices.Delete(slices.Clone(p.Sites), i, i+1)
	n := len(q.Sites)
	q.Quorum, q.StartWhen, q.Goal, q.Buffer = min(p.Quorum, n), min(p.StartWhen, n), min(p.Goal, n), min(p.Buffer, n)
	q.Faults = slices.Clone(p.Faults)
	for k, f := range q.Faults {
		if f.Node > i {
			q.Faults[k].Node--
		} else if f.Node >= n {
			q.Faults[k].Node = -1
		}
	}
	return q
}

// plainer has one setting less that is out of the ordinary.
func (p Plan) plainer() (list []Plan) {
	add := func(differs bool, set func(q *Plan)) {
		if differs {
			q := p
			q.Sites = slices.Clone(p.Sites)
			set(&q)
			list = append(list, q)
		}
	}
	add(p.Statistics, func(q *Plan) { q.Statistics = false })
	add(p.Goal > 0, func(q *Plan) { q.Goal = 0 })
	add(p.Late > 0, func(q *Plan) { q.Late, q.Buffer = 0, 0 })
	add(p.Late > 1, func(q *Plan) { q.Late = 1 })
	add(p.Sample < 1, func(q *Plan) { q.Sample = 1 })
	add(p.Pace > 0, func(q *Plan) { q.Pace = 0 })
	add(p.JoinWait > 0, func(q *Plan) { q.JoinWait = 0 })
	add(p.Recut, func(q *Plan) { q.Recut = false })
	add(p.Keep, func(q *Plan) { q.Keep = false })
	add(p.Size > p.PartSize, func(q *Plan) { q.Size = q.PartSize })
	for i, s := range p.Sites {
		add(s.Bad > 0, func(q *Plan) { q.Sites[i].Bad = 0 })
		add(s.Fails > 0, func(q *Plan) { q.Sites[i].Fails = 0 })
		add(s.Drifts, func(q *Plan) { q.Sites[i].Drifts = false })
	}
	return list
}
