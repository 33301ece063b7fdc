package tabular

import "math"

// loss returns the summed loss of the rows in the last act, squared error or
// cross-entropy, and puts its derivative times weight into the last delta.
// want holds a class or a wanted output per row; a row counts as balance
// says of its class.
func (n *network) loss(want []float64, weight float64) float64 {
	last := len(n.layers) - 1
	z, d := n.act[last+1], n.delta[last]
	var sum float64
	if n.classes == 0 {
		for r, y := range want {
			e := z[r] - y
			sum += float64(e * e)
			d[r] = 2 * e * weight
		}
		return sum
	}
	for r, y := range want {
		from, to := r*n.classes, (r+1)*n.classes
		loss, weight := crossEntropy(d[from:to], z[from:to], int(y)), weight
		if n.balance != nil {
			loss, weight = loss*n.balance[int(y)], weight*n.balance[int(y)]
		}
		sum += loss
		for j := range d[from:to] {
			d[from+j] *= weight
		}
	}
	return sum
}

// crossEntropy returns −log softmax(z)[class], and its derivative in d.
func crossEntropy(d, z []float64, class int) float64 {
	top := z[0]
	for _, v := range z[1:] {
		top = max(top, v)
	}
	var sum float64
	for j, v := range z {
		d[j] = math.Exp(v - top)
		sum += d[j]
	}
	for j := range d {
		d[j] /= sum
	}
	d[class]--
	return math.Log(sum) - (z[class] - top)
}
