package wire

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// counts are the cells and margins of a confusion matrix.
var counts = regexp.MustCompile(`^(confusion\.[0-9]{1,5}\.[0-9]{1,5}|(actual|predicted)\.[0-9]{1,5})$`)

// FitMetrics returns the numbers that an update can carry, and the names of the
// others: those with other characters, and those beyond 64, in order, that are no
// counts of classes (W-32).
func FitMetrics(m map[string]float64) (fit map[string]float64, left []string) {
	fit = make(map[string]float64, len(m))
	named := 0
	for _, name := range slices.Sorted(maps.Keys(m)) {
		count := counts.MatchString(name)
		if !IsMetric(name) || !count && named == maxNamed || len(fit) == maxMetrics {
			left = append(left, name)
			continue
		}
		if !count {
			named++
		}
		fit[name] = m[name]
	}
	return fit, left
}

// IsMetric reports whether a name may stand before a number: of
// [A-Za-z0-9_.:/-], 1 to 64 bytes (W-32).
func IsMetric(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("_.:/-", c) < 0 {
			return false
		}
	}
	return name != "" && len(name) <= maxMetricName
}
