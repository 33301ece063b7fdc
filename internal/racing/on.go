//go:build race

package racing

// On is whether the detector watches.
const On = true
