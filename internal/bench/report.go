package bench

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the result for people.
func (r *Result) Print(w io.Writer) {
	fmt.Fprintf(w, "%d parameters, %d sites, %d rounds after %d to warm up, parts of %d bytes, %s broker\n",
		r.Params, r.Sites, r.Rounds, r.WarmUp, r.PartSize, r.Broker)
	fmt.Fprintf(w, "round    %s median, %s to %s: %.1f x the floor of %s\n", seconds(r.Median), seconds(r.Min), seconds(r.Max), r.WallOver, seconds(r.Floor))
	fmt.Fprintf(w, "train    %s of it, median of a site\n", seconds(r.Train))
	fmt.Fprintf(w, "close    %s of it, from the last update to the next model: %s\n", seconds(r.Close), r.Strategy)
	fmt.Fprintf(w, "cpu      %s a round, %.1f x the floor's %s%s\n", seconds(r.CPU), r.CPUOver, seconds(r.FloorCPU), roles3(r.CPUByRole, seconds))
	mb := func(v float64) string { return fmt.Sprintf("%.0f MB", v) }
	if r.RSS.Process != nil {
		fmt.Fprintf(w, "memory   %s at most, all in one process\n", mb(*r.RSS.Process))
	} else {
		fmt.Fprintf(w, "memory   at most%s\n", roles3(&r.RSS, mb))
	}
	fmt.Fprintf(w, "traffic  %.1f MB a round\n", r.Wire)
	fmt.Fprintf(w, "sites    send %.2f MB a round and receive %.2f, %g of the parameters change; whole it is %.2f each way\n", r.Up, r.Down, r.Changed, r.Full)
	if r.Error != nil {
		fmt.Fprintf(w, "error    %g at most\n", *r.Error)
	} else {
		fmt.Fprintf(w, "again    %d rounds made again from their updates, to the same bits; no exact mean to compare with\n", r.Again)
	}
	fmt.Fprintf(w, "model    %s\n", r.Model)
	r.printTrace(w)
}

// seconds with a unit that fits.
func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.1f ms", 1000*s)
	}
	return fmt.Sprintf("%.2f s", s)
}

// roles3 lists what is known by role.
func roles3(r *ByRole, show func(float64) string) string {
	if r == nil {
		return ""
	}
	var known []string
	for _, role := range []struct {
		name string
		v    *float64
	}{{"aggregator", r.Aggregator}, {"broker", r.Broker}, {"site", r.Site}} {
		if role.v != nil {
			known = append(known, role.name+" "+show(*role.v))
		}
	}
	if len(known) == 0 {
		return ""
	}
	return ": " + strings.Join(known, ", ")
}
