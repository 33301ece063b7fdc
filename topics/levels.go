package topics

import "strings"

// Deepest returns the topic with the most levels of a list, the first of them.
// Some brokers count levels: AWS IoT Core takes seven slashes.
func Deepest(list ...string) (deepest string) {
	for _, t := range list {
		if strings.Count(t, "/") > strings.Count(deepest, "/") {
			deepest = t
		}
	}
	return deepest
}
