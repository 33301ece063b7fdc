package main

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/fedmq/fedmq/internal/racing"
)

// The legend is within the frame: nothing but the last tick's label comes near
// the right edge, above the axis.
func TestLegendInFrame(t *testing.T) {
	racing.Alone(t)
	t.Parallel()
	for _, metric := range []string{"rmse", "accuracy"} {
		path := filepath.Join(t.TempDir(), "rounds.png")
		var curve []curvePoint
		for i := range 21 {
			curve = append(curve, curvePoint{trained: float64(i), value: .7, best: .6, bad: .8})
		}
		r := &result{Sites: 10, Parameters: 1601, Isolated: isolated{Mean: .9}, Centralised: .5}
		if err := plotRounds(path, example{name: "x", metric: metric, unit: "flights"}, curve, r); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		b := img.Bounds()
		for y := b.Min.Y; y < b.Max.Y*8/10; y++ {
			if red, green, blue, _ := img.At(b.Max.X-3, y).RGBA(); red+green+blue != 3*0xffff {
				t.Fatalf("%s: ink at the right edge, %d pixels below the top", metric, y)
			}
		}
	}
}
