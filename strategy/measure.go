package strategy

import (
	"cmp"
	"errors"
)

// Measure fills in what a round of training says of an update's tensors before its
// strategy sees it: norm, and how much the guard clips. Other work says nothing.
func (a *Aggregation) Measure(u Update) Update {
	if a.guard == nil {
		return u
	}
	return a.guard.measure(u)
}

// Check reports an update that cannot be counted. Errors wrap [ErrNotFinite],
// [ErrOutOfRange], [ErrOutlier] or [ErrFull], in this order where several hold.
func (a *Aggregation) Check(u Update) error {
	u = a.Measure(u)
	err := a.Fold.Check(u)
	if a.guard == nil || err != nil && !errors.Is(err, ErrFull) {
		return err
	}
	return cmp.Or(a.guard.check(u), err)
}

// Add takes an update that has passed Check.
func (a *Aggregation) Add(u Update) {
	u = a.Measure(u)
	a.Fold.Add(u)
	a.Count(u)
}

// Take is that of [OnePass] where the fold is one, and for an update within the guard's
// z that is not clipped. One that was taken is measured, and to be told of to Count, or
// to be taken Back.
func (a *Aggregation) Take(u Update, at View) (_ Update, taken bool, err error) {
	fold, ok := a.Fold.(OnePass)
	if !ok || a.guard == nil || len(a.guard.tracks) > 1 {
		return u, false, nil
	}
	t := a.guard.tracks[0]
	if u.Norm, taken, err = fold.Take(u, t.z, at); err != nil || !taken {
		return u, taken, err
	}
	if t.scale(u.Norm) != 0 {
		return u, false, fold.Back(u, at)
	}
	u.measured, u.looked[0].norm = true, u.Norm // and within z
	return u, true, nil
}

// Back takes out again what Take has taken and Count does not know.
func (a *Aggregation) Back(u Update, at View) error { return a.Fold.(OnePass).Back(u, at) }

// Count tells the guard of an update that Take has taken, once it counts.
func (a *Aggregation) Count(u Update) {
	if a.guard != nil {
		a.guard.count(u)
	}
}

// Refused tells the guard how many members have nothing in the attempt but an
// [ErrOutlier], before Result.
func (a *Aggregation) Refused(members int) {
	if a.guard != nil {
		a.guard.refused = members
	}
}
