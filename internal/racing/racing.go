// Package racing is what tests know of the race detector, under which what computes
// takes seven times as long. It is no part of a program.
//
// The detector finds what two goroutines do to one value, so under it a test earns its
// time by goroutines that meet in a way that no other test has. Left out are tests, and
// cases of tests, of one goroutine, and those that run the same goroutines as another one
// on other numbers: another strategy, encoding, file or page. All of them run without it.
package racing

import "testing"

// Skip leaves a test out under the detector; why says which test has its goroutines, or
// that it has none.
func Skip(t testing.TB, why string) {
	t.Helper()
	if On {
		t.Skip("not under the race detector: " + why)
	}
}

// Alone leaves a test of one goroutine out under the detector.
func Alone(t testing.TB) {
	t.Helper()
	Skip(t, "one goroutine, and nothing to race with")
}
