// Package near finds the word that somebody meant who wrote one that is not
// known. It never corrects anything: it only proposes.
package near

import "strings"

// Of returns the known word with the smallest edit distance, if it is near
// enough to be a slip of the pen, else "". Ties go to the alphabetically first.
func Of(word string, known []string) string {
	best, bestD := "", len(word)/2+2
	for _, k := range known {
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d < bestD || d == bestD && best != "" && k < best {
			best, bestD = k, d
		}
	}
	return best
}

// distance is Levenshtein's: insertions, deletions and substitutions.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
