//go:build !unix

package bench

// processUsage is not known here.
func processUsage() (cpu float64, rss int64) { return 0, 0 }
