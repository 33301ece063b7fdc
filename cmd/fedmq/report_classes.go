package main

import (
	"fmt"
	"strconv"

	"github.com/fedmq/fedmq/record"
)

// reportClasses is how the rows of each class were told, by the model that was
// measured last.
type reportClasses struct {
	Version   uint64
	Round     uint64
	Threshold string
	Of        []reportClass
	Names     []string // of all classes
	Matrix    []reportClassRow
}

type reportClass struct {
	Name                  string
	Rows, Predicted       int64
	Precision, Recall, F1 string
	AUC, AP               string
}

// reportClassRow are the rows of one class by what they were taken for.
type reportClassRow struct {
	Name  string
	Cells []reportCell
}

type reportCell struct {
	N     int64
	Share int // of the row, in percent
	Right bool
}

func (src reportSource) classes() *reportClasses {
	points := src.run.measured()
	if len(points) == 0 || len(points[len(points)-1].Record.Classes) == 0 {
		return nil
	}
	p := points[len(points)-1]
	out := &reportClasses{Version: p.Version, Round: p.Record.Round}
	for _, c := range p.Record.Classes {
		out.Of = append(out.Of, reportClass{
			Name: src.className(c.Class), Rows: c.Rows, Predicted: c.Predicted,
			Precision: shareText(c.Precision()), Recall: shareText(c.Recall()), F1: shareText(c.F1()),
			AUC: boundText(c.AUC, c.AUCError), AP: boundText(c.AP, c.APError),
		})
	}
	for i, row := range p.Record.Confusion {
		sum := int64(0)
		for _, n := range row {
			sum += n
		}
		r := reportClassRow{Name: src.className(i)}
		for j, n := range row {
			r.Cells = append(r.Cells, reportCell{n, int(100 * float64(n) / float64(max(sum, 1))), i == j})
		}
		out.Names, out.Matrix = append(out.Names, r.Name), append(out.Matrix, r)
	}
	if t := p.Record.Threshold; t != nil {
		out.Threshold = fmt.Sprintf("With a probability of %s or more as the limit for %s, precision is %s, recall %s and F1 %s.",
			numberText(float64(t.Value)), src.className(t.Class), shareText(float64(t.Precision)), shareText(float64(t.Recall)), shareText(float64(t.F1)))
	}
	return out
}

// className is that of the contract, or the class's number.
func (src reportSource) className(i int) string {
	if c := src.contract; c != nil && i < len(c.Target.Classes) {
		return c.Target.Classes[i]
	}
	return "class " + strconv.Itoa(i)
}

func shareText(v float64) string { return fmt.Sprintf("%.3f", v) }

// boundText is a value from histograms, with the most that it may be off.
func boundText(v, off record.Number) string {
	if !finite(float64(v)) {
		return "-"
	}
	if off < 0.0005 || !finite(float64(off)) {
		return shareText(float64(v))
	}
	return shareText(float64(v)) + " ± " + shareText(float64(off))
}
