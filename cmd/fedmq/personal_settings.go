package main

import (
	"encoding/json"
	"slices"
	"strings"
)

// personalDifferences takes the differences apart that are of a site which trains for itself
// what its task has released: by what its file says now, though the task has ended. own is
// a sentence of them, "" for none.
func personalDifferences(diff []string, now runSettings) (rest []string, own string) {
	mine := func(s string) bool {
		for member, about := range now.Sites {
			key, ofMember := strings.CutPrefix(s, member+" ")
			if !ofMember && s != "the data of "+member {
				continue
			}
			var top map[string]json.RawMessage
			does := json.Unmarshal(about, &top) == nil && top["personalise"] != nil // {} too
			return does || strings.HasPrefix(key, "personalise")
		}
		return false
	}
	var list []string
	for _, s := range diff {
		if mine(s) {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return diff, ""
	}
	return slices.DeleteFunc(diff, mine), " Changed since, for what these sites train for themselves (personalise), where that is not made yet or personalise is among it: " + strings.Join(list, "; ") + "."
}
