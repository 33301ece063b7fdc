package federation

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// Twice as many tests run at once as there are processors: most of them wait
// for something most of the time.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
