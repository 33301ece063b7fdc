package model

// Names of the tensors of a statistics update, f64 of one shape [features]: what a site
// says of its rows so that a federated z-score can be made ([ZMeanName], [ZSDName]); and
// of a model that counts classes ([ClassRowsName]), of shape [classes].
const (
	StatNName       = "n"       // number of observed values
	StatMeanName    = "mean"    // their mean
	StatM2Name      = "m2"      // sum of their squared deviations from it
	StatClassesName = "classes" // training rows of each class
)

// StatisticsSchema is the schema of a statistics update over a number of
// features, 0 or more, and of classes that are counted, 0 for none.
func StatisticsSchema(features, classes int) Schema {
	dim := []int{features}
	specs := []Spec{
		{Name: StatNName, DType: F64, Shape: dim},
		{Name: StatMeanName, DType: F64, Shape: dim},
		{Name: StatM2Name, DType: F64, Shape: dim},
	}
	if classes > 0 {
		specs = append(specs, Spec{Name: StatClassesName, DType: F64, Shape: []int{classes}})
	}
	s, err := NewSchema(specs...)
	if err != nil {
		panic(err) // a negative number, or more than memory holds
	}
	return s
}
