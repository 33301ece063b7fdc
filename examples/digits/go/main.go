// Command train trains on handwritten digits at one site, with nothing but the
// standard library. fedmq site starts it and talks JSON lines with it, see
// docs/spec/trainer.md of fedmq. (A Go program that imports fedmq can be the
// site itself: implement trainer.Trainer and call site.Run.)
//
// The model is softmax regression: one tensor, 10 rows of a bias and 64 weights.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
)

type row struct {
	label int
	x     [65]float64 // 1, then the pixels
}

// request is what the agent sends; programs ignore what they do not know.
type request struct {
	Type, Model, Out string
	ID               uint64
	Settings         struct {
		LR     float64
		Epochs int
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	train, test, err := load(os.Args[1])
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		var reply map[string]any
		switch r.Type {
		case "cancel": // the request is over: this program does one thing at a time
			continue
		case "hello":
			reply = map[string]any{"type": "hello", "version": 1, "samples": len(train), "evaluate": true, "init": true}
		default:
			metrics, err := work(r, train, test)
			reply = map[string]any{"type": "done", "id": r.ID, "metrics": metrics}
			if err != nil {
				reply = map[string]any{"type": "error", "id": r.ID, "message": err.Error()}
			}
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
	return lines.Err()
}

// work does one request.
func work(r request, train, test []row) (map[string]float64, error) {
	header, w := []byte(`{"weight":{"dtype":"F32","shape":[10,65],"data_offsets":[0,2600]}}`), make([]float32, 650)
	if r.Model != "" {
		var err error
		if header, w, err = read(r.Model); err != nil {
			return nil, err
		}
	}
	switch r.Type {
	case "evaluate":
		return evaluate(w, test), nil
	case "train":
		for range max(r.Settings.Epochs, 1) {
			for _, row := range train {
				p := softmax(w, row)
				p[row.label]--
				for k := range p {
					for i, x := range row.x {
						w[65*k+i] -= float32(r.Settings.LR * p[k] * x)
					}
				}
			}
		}
	}
	return nil, write(r.Out, header, w)
}

func evaluate(w []float32, test []row) map[string]float64 {
	var correct, loss float64
	for _, row := range test {
		p := softmax(w, row)
		best := 0
		for k := range p {
			if p[k] > p[best] {
				best = k
			}
		}
		if best == row.label {
			correct++
		}
		loss -= math.Log(p[row.label] + 1e-12)
	}
	return map[string]float64{"n": float64(len(test)), "correct": correct, "loss": loss}
}

func softmax(w []float32, r row) (p [10]float64) {
	var all float64
	for k := range p {
		for i, x := range r.x {
			p[k] += float64(w[65*k+i]) * x
		}
		p[k] = math.Exp(p[k]) // the weights of this model stay small
		all += p[k]
	}
	for k := range p {
		p[k] /= all
	}
	return p
}

// A safetensors file is the length of a header, the header, and the values.
func read(path string) (header []byte, w []float32, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	n := binary.LittleEndian.Uint64(b)
	header, b = b[8:8+n], b[8+n:]
	for ; len(b) > 0; b = b[4:] {
		w = append(w, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return header, w, nil
}

func write(path string, header []byte, w []float32) error {
	b := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	for _, v := range w {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return os.WriteFile(path, b, 0o600)
}

func load(path string) (train, test []row, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return nil, nil, err
	}
	for _, rec := range records[1:] {
		r := row{x: [65]float64{1}}
		if r.label, err = strconv.Atoi(rec[1]); err != nil {
			return nil, nil, err
		}
		for i, field := range rec[2:] {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return nil, nil, err
			}
			r.x[i+1] = v / 16
		}
		if rec[0] == "1" {
			test = append(test, r)
		} else {
			train = append(train, r)
		}
	}
	return train, test, nil
}
