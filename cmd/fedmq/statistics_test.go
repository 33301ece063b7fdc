package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdPlant writes 300 rows of a plant: plant FILE FLOW_COLUMN TIMES PRESSURE. The flow is about 20
// of its unit, times so much in that of the file; each tenth pressure is missing, and rare has 9 values.
func cmdPlant(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: plant file flow_column times pressure")
	}
	times, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	middle, err := strconv.ParseFloat(args[3], 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	w, rnd := bufio.NewWriter(f), rand.New(rand.NewPCG(7, uint64(args[0][0]))) //nolint:gosec // rows of a test
	fmt.Fprintf(w, "%s;pressure;rare\n", args[1])
	for i := range 300 {
		pressure, rare := fmt.Sprintf("%.3f", middle+rnd.NormFloat64()/2), ""
		if i%10 == 0 {
			pressure = ""
		}
		if i < 9 {
			rare = "1"
		}
		fmt.Fprintf(w, "%.3f;%s;%s\n", (20+2*rnd.NormFloat64())*times, pressure, rare)
	}
	ts.Check(w.Flush())
	ts.Check(f.Close())
}
