package doctor_test

import (
	"os"
	"testing"

	"github.com/fedmq/fedmq/internal/waits"
)

func TestMain(m *testing.M) {
	waits.More()
	os.Exit(m.Run())
}
