package record

import (
	"fmt"
	"math"
	"testing"
)

// Of several wrong names one is told, always the same.
func TestFirstWrongName(t *testing.T) {
	t.Parallel()
	many := Values{}
	for i := range 20 {
		many[fmt.Sprintf("m%02d", i)] = math.NaN()
	}
	many["a"] = 1
	long := Values{}
	for i := range 20 {
		long[fmt.Sprintf("%02d%064d", i, i)] = 1
	}
	params := Settings{"b": true, "a": 1., "c": nil, "d": []any{}}
	for range 20 {
		for _, c := range []struct {
			err  error
			want string
		}{
			{many.check("threshold"), `threshold "m00" is NaN`},
			{long.named("scalar"), fmt.Sprintf("scalar %q", fmt.Sprintf("%064d", 0))},
			{params.check(), `parameter "b" is true`},
			{Measured{Bounds: Values{"y": -1, "x": -2, "w": 0}}.check(), `bound -2 of "x"`},
		} {
			if c.err == nil || c.err.Error() != c.want {
				t.Fatalf("%v, want %s", c.err, c.want)
			}
		}
	}
}
