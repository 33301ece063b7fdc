package main

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

const (
	sensors  = 16
	features = 2 * sensors // means of the last flights, and their trend
	window   = 30          // flights that a prediction looks back on
	recent   = 5           // of these, the last
	stride   = 5           // flights from one row to the next
	horizon  = 125         // flights: beyond it nobody plans
	held     = 4           // every held-th engine is not trained on
)

// row is what is known of an engine after some flight, and the flights it had left.
type row struct {
	x    [features]float64
	left float64
}

// load reads the flights of one fleet and makes rows of them.
func load(path, fleet string) (train, test []row, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	r := csv.NewReader(unzipped)
	engines, order := map[string][][sensors]float64{}, []string{}
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if rec[0] != fleet { // of another, or the header
			continue
		}
		name := rec[1] + "/" + rec[2]
		if engines[name] == nil {
			order = append(order, name)
		}
		var flight [sensors]float64
		for i := range flight {
			if flight[i], err = strconv.ParseFloat(rec[len(rec)-sensors+i], 64); err != nil {
				return nil, nil, fmt.Errorf("%s: engine %s: %w", path, name, err)
			}
		}
		engines[name] = append(engines[name], flight)
	}
	for i, name := range order {
		if i%held == held-1 {
			test = append(test, rows(engines[name])...)
		} else {
			train = append(train, rows(engines[name])...)
		}
	}
	if len(train) == 0 || len(test) == 0 {
		return nil, nil, fmt.Errorf("%s: no engines of fleet %q; want F01 to F10", path, fleet)
	}
	return train, test, nil
}

// rows are the windows of an engine that was run until it failed.
func rows(flights [][sensors]float64) (out []row) {
	for end := window; end <= len(flights); end += stride {
		r := row{left: min(float64(len(flights)-end), horizon)}
		for i := range sensors {
			var all, last float64
			for k, flight := range flights[end-window : end] {
				all += flight[i]
				if k >= window-recent {
					last += flight[i]
				}
			}
			r.x[i] = last / recent
			r.x[sensors+i] = last/recent - all/window
		}
		out = append(out, r)
	}
	return out
}
