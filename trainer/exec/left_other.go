//go:build !linux

package exec

// claim does nothing here: processes cannot be told apart by what they were
// started with.
type claim struct{ left int }

func take(string) (*claim, error) { return &claim{}, nil }

func (*claim) environ() []string { return nil }

func (*claim) release() error { return nil }
