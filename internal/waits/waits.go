// Package waits is for packages whose tests wait for something most of the time:
// processes, brokers, connections. Call [More] in TestMain. It is no part of a
// program.
package waits

import (
	"flag"
	"runtime"
	"strconv"
)

// More lets twice as many tests run at once as there are processors.
func More() {
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
}
