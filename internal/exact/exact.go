// Package exact has the functions of real numbers whose results reach a model, a
// threshold or a coefficient: exp, ln and powers with the same bits on every CPU.
//
// Start with [Exp], [Log] and [Pow]. They use additions, multiplications and divisions
// of float64 alone, each rounded by itself, in a fixed order, and are within 1e-15 of
// the true value, relative to it. Those of package math are not used anywhere here: on
// some CPUs they are written in assembly, on others fused, and their last bit differs.
//
// The package never looks at the CPU, and has no state.
package exact

import "math"

// ln2 in two parts: the first has 33 bits, so that its product with a whole number of up
// to 20 bits is exact.
const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10

	most  = 709.782712893384 // exp of more is beyond the largest float64
	least = -745.2           // exp of less is below half of the smallest
)

// Exp returns e^x.
func Exp(x float64) float64 { return exp(x, 0) }

// exp returns e^(x+more), for |more| far below 1.
func exp(x, more float64) float64 {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 1):
		return x
	case x > most:
		return math.Inf(1)
	case x < least:
		return 0
	}
	k := math.Round(float64(x / math.Ln2))
	hi, lo := float64(x-float64(k*ln2Hi)), float64(float64(k*ln2Lo)-more)
	r := float64(hi - lo)
	// The rest of r, which its rounding has lost, counts to first order.
	lost := float64(float64(hi-r) - lo)
	p := 0.0
	for n := 13; n >= 2; n-- {
		p = float64(p*r) + factor[n]
	}
	// e^r = 1 + r + r^2 p, from small to large.
	small := float64(float64(float64(r*r)*p) + float64(lost*float64(1+r)))
	return scale(float64(1+float64(r+small)), int(k))
}

// factor[n] is 1/n!.
var factor = func() (f [14]float64) {
	n := 1.0
	for i := range f {
		n *= float64(max(i, 1))
		f[i] = 1 / n // exact: n! has fewer than 53 bits
	}
	return f
}()

// scale returns x * 2^k for an x near 1, rounded once where it is subnormal.
func scale(x float64, k int) float64 {
	switch {
	case k > 1023:
		return float64(float64(x*0x1p1023) * pow2(k-1023))
	case k < -1022:
		return float64(float64(x*pow2(k+100)) * 0x1p-100)
	}
	return float64(x * pow2(k))
}

// pow2 returns 2^k for a normal number.
func pow2(k int) float64 { return math.Float64frombits(uint64(k+1023) << 52) }

// Log returns the natural logarithm of x: NaN below 0, minus infinity of 0.
func Log(x float64) float64 {
	if odd, is := oddLog(x); is {
		return odd
	}
	hi, lo := log(x)
	return float64(hi + lo)
}

func oddLog(x float64) (float64, bool) {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 1):
		return x, true
	case x < 0:
		return math.NaN(), true
	case x == 0:
		return math.Inf(-1), true
	}
	return 0, false
}

// log returns ln x in two parts, the second below the last bit of the first, for a
// finite x above 0.
func log(x float64) (hi, lo float64) {
	k := 0
	if x < 0x1p-1022 {
		x, k = float64(x*0x1p54), -54
	}
	bits := math.Float64bits(x)
	k += int(bits>>52) - 1023
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52) // in [1, 2)
	if m > math.Sqrt2 {
		m, k = m/2, k+1
	}
	// ln m = 2 atanh(s) with s = (m-1)/(m+1), whose division leaves the rest q.
	num := m - 1 // exact
	den, denLo := twoSum(m, 1)
	s := float64(num / den)
	p, pLo := twoProduct(s, den)
	sLo := float64(float64(float64(float64(num-p)-pLo)-float64(s*denLo)) / den)
	z := float64(s * s)
	tail := 0.0
	for n := 25; n >= 3; n -= 2 {
		tail = float64(tail*z) + 1/float64(n)
	}
	// 2s is exact, 2s^3 * tail is what comes after it.
	hi, lo = twoSum(float64(2*s), float64(2*float64(float64(s*z)*tail)))
	lo += float64(2 * sLo)
	e := float64(k)
	kHi, kLo := float64(e*ln2Hi), float64(e*ln2Lo)
	sum, rest := twoSum(kHi, hi)
	return twoSum(sum, float64(rest+float64(lo+kLo)))
}

// Pow returns x^y for x >= 0: 1 for y = 0, NaN for an x below 0 or NaN.
func Pow(x, y float64) float64 {
	switch {
	case y == 0:
		return 1
	case y == 0.5:
		return math.Sqrt(x)
	case y == 1:
		return x
	case y == 2:
		return float64(x * x)
	case math.IsNaN(x) || math.IsNaN(y) || x < 0:
		return math.NaN()
	case x == 1:
		return 1
	case x == 0 || math.IsInf(x, 1) || math.IsInf(y, 0):
		if (x > 1) == (y > 0) {
			return math.Inf(1)
		}
		return 0
	}
	hi, lo := log(x)
	p, pLo := twoProduct(y, hi)
	if !(math.Abs(p) < 1000) {
		return exp(p, 0)
	}
	return exp(p, float64(pLo+float64(y*lo)))
}

// twoSum returns the sum of a and b, and what its rounding has lost (Knuth).
func twoSum(a, b float64) (sum, lost float64) {
	sum = float64(a + b)
	c := float64(sum - a)
	return sum, float64(float64(a-float64(sum-c)) + float64(b-c))
}

// twoProduct returns the product of a and b, and what its rounding has lost (Dekker), for
// numbers whose halves do not overflow.
func twoProduct(a, b float64) (product, lost float64) {
	product = float64(a * b)
	aHi, aLo := halves(a)
	bHi, bLo := halves(b)
	lost = float64(float64(aHi*bHi) - product)
	lost = float64(float64(lost+float64(aHi*bLo)) + float64(aLo*bHi))
	return product, float64(lost + float64(aLo*bLo))
}

// halves splits a into its first 26 bits and the rest (Veltkamp).
func halves(a float64) (hi, lo float64) {
	c := float64(134217729 * a) // 2^27 + 1
	hi = float64(c - float64(c-a))
	return hi, float64(a - hi)
}
