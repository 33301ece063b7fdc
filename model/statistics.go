package model

// Names of the tensors of a statistics update, all f64 of one shape
// [features]: what a site says of its rows so that a federated z-score can be
// made ([ZMeanName], [ZSDName]).
const (
	StatNName    = "n"    // number of observed values
	StatMeanName = "mean" // their mean
	StatM2Name   = "m2"   // sum of their squared deviations from it
)

// StatisticsSchema is the schema of a statistics update over a number of
// features, 0 or more.
func StatisticsSchema(features int) Schema {
	dim := []int{features}
	s, err := NewSchema(
		Spec{Name: StatNName, DType: F64, Shape: dim},
		Spec{Name: StatMeanName, DType: F64, Shape: dim},
		Spec{Name: StatM2Name, DType: F64, Shape: dim})
	if err != nil {
		panic(err) // a negative number, or more than memory holds
	}
	return s
}
