package fold

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// worked is the example of docs/explain/exact-fold.md: three sites, one value each.
func worked(t *testing.T) string {
	t.Helper()
	sites := []struct {
		name    string
		update  float32
		samples uint64
	}{{"a", 0.001, 10}, {"b", 12.7, 40}, {"c", -12.6, 40}}
	grid, err := NewGrid(6, 3, 40)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "grid: b %d, w %d, step 2^%d\n", grid.B, grid.W, grid.G())
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		s, float := NewSum(grid, model.F32, 1), float32(0)
		names := ""
		for _, i := range order {
			site := sites[i]
			x := binary.LittleEndian.AppendUint32(nil, math.Float32bits(site.update))
			if err := s.Check(x, site.samples, float64(site.samples)); err != nil {
				t.Fatal(err)
			}
			before := s.At(0)
			s.Add(x, site.samples, float64(site.samples))
			float += site.update * float32(site.samples)
			names += " " + site.name
			if order[0] == 0 {
				fmt.Fprintf(&b, "%s: %g x %d is %d steps\n", site.name, site.update, site.samples, s.At(0)-before)
			}
		}
		mean := make([]float64, 1)
		s.Mean(mean, 0)
		fmt.Fprintf(&b, "%s: sum %d, mean %.17g; in float32 %.9g\n", names[1:], s.At(0), mean[0], float/float32(s.Weight()))
	}
	return b.String()
}

// The numbers of the page are those of the kernels.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/explain/exact-fold.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := worked(t); !strings.Contains(string(page), "```\n"+want+"```\n") {
		t.Errorf("docs/explain/exact-fold.md has not:\n%s", want)
	}
}
