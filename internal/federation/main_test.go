package federation

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/fedmq/fedmq/internal/waits"
)

// listRows is what scripts/samebits asks for: it tests nothing.
var listRows = flag.Bool("rows", false, "only print what -row may be")

func TestMain(m *testing.M) {
	flag.Parse()
	if *listRows {
		for _, row := range rows() {
			fmt.Println(row)
		}
		return
	}
	waits.More()
	os.Exit(m.Run())
}
