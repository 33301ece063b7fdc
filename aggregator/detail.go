package aggregator

// detailOf is an error as a detail of at most 256 bytes.
func detailOf(err error) string {
	s := err.Error()
	return s[:min(len(s), 256)]
}
