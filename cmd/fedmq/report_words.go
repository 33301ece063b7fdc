package main

import (
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// reasonWords are the verdicts of a record for a person; docs/ref/reasons.md says what
// each comes from.
var reasonWords = map[verdict.Reason]string{
	verdict.Counted:          "counted",
	verdict.Malformed:        "its message could not be read",
	verdict.TooLarge:         "its update was too large",
	verdict.UnknownMember:    "it is no member",
	verdict.BadSignature:     "its signature was not its own",
	verdict.WrongTopic:       "signed for another topic",
	verdict.FutureRound:      "for a round that was not yet",
	verdict.OtherOrigin:      "for a former life of the task",
	verdict.StaleRound:       "for an attempt that had lapsed",
	verdict.WrongBase:        "trained from another model",
	verdict.SchemaMismatch:   "other tensors than the model's",
	verdict.ContractMismatch: "means something else by the model",
	verdict.Unsupported:      "wants what this version has not",
	verdict.NotFinite:        "its numbers were not finite",
	verdict.OutOfRange:       "a value out of range, or no rows",
	verdict.NormOutlier:      "a value far beyond the others'",
	verdict.Conflict:         "it sent two different updates",
	verdict.NotInCohort:      "it was not asked",
	verdict.OldCounter:       "an old message came again",
	verdict.BudgetExhausted:  "its privacy budget is spent",
	verdict.Declined:         "it said that nothing will come",
	verdict.Missing:          "nothing usable came in time",
	verdict.Lost:             "lost in a restart",
	verdict.NotDue:           "the round ended before its deadline, without it",
	verdict.Kept:             "accepted, and kept for the next attempt",
	verdict.Lapsed:           "accepted, then dropped with all of the round",
}

// wordsOf falls back on the verdict's own spelling.
func wordsOf(r verdict.Reason) string {
	if words := reasonWords[r]; words != "" {
		return words
	}
	return r.String()
}

// worksText counts records by what they are of: "20 rounds of training and 1 of
// statistics; 2 attempts came to nothing".
func worksText(recs []record.Record) string {
	n, abandoned, adopted := map[string]int{}, 0, 0
	for _, r := range recs {
		switch r.Verdict {
		case record.Abandoned:
			abandoned++
		case record.Adopted:
			adopted++
		default:
			n[r.Work]++
		}
	}
	if n[wire.WorkTrain]+n[wire.WorkEvaluate] == 0 && n[wire.WorkStatistics] > 0 {
		return worksParts([]string{times(n[wire.WorkStatistics], "round", "rounds") + " of statistics"}, abandoned, adopted)
	}
	parts := []string{times(n[wire.WorkTrain], "round", "rounds") + " of training"}
	for _, w := range []struct{ work, words string }{{wire.WorkStatistics, "of statistics"}, {wire.WorkEvaluate, "that only measured"}} {
		if n[w.work] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[w.work], w.words))
		}
	}
	return worksParts(parts, abandoned, adopted)
}

// madeText says how many rounds a task has made, of training or, where that is all it does,
// of statistics.
func madeText(recs []record.Record) string {
	n := map[string]int{}
	for _, r := range recs {
		if r.Verdict == record.Committed {
			n[r.Work]++
		}
	}
	if n[wire.WorkTrain] == 0 && n[wire.WorkStatistics] > 1 {
		return fmt.Sprintf("%d rounds of statistics", n[wire.WorkStatistics])
	}
	return fmt.Sprintf("%d rounds of training", n[wire.WorkTrain])
}

func worksParts(parts []string, abandoned, adopted int) string {
	text := strings.Join(parts, ", ") + "; "
	if abandoned == 0 {
		text += "no attempt came to nothing"
	} else {
		text += times(abandoned, "attempt", "attempts") + " came to nothing"
	}
	if adopted > 0 {
		text += "; taken up again from a copy " + times(adopted, "time", "times")
	}
	return text
}

func times(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
