package near

import (
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Warnings are about names of a configuration that somebody may have written in another
// way elsewhere: names are compared byte by byte (T-20).
func Warnings(names ...string) (out []string) {
	for i, a := range names {
		if c := norm.NFC.String(a); c != a {
			out = append(out, fmt.Sprintf("%+q is not in composed form (NFC), and %+q is another name: write it as the other parties do", a, c))
		}
		for _, b := range names[:i] {
			if a != b && strings.EqualFold(norm.NFKC.String(a), norm.NFKC.String(b)) {
				out = append(out, fmt.Sprintf("%+q and %+q are two names, though they differ in case or form alone", b, a))
			}
		}
	}
	return out
}
