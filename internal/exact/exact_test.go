package exact_test

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/internal/exact"
)

// prec is the precision of the twins, in bits.
const prec = 200

func wide(x float64) *big.Float { return new(big.Float).SetPrec(prec).SetFloat64(x) }

func num() *big.Float { return new(big.Float).SetPrec(prec) }

// ln2 is 2 atanh(1/3).
var ln2 = atanh2(num().Quo(wide(1), wide(3)))

// atanh2 is 2 atanh(s) = 2 (s + s^3/3 + s^5/5 + ...).
func atanh2(s *big.Float) *big.Float {
	sum, power, square := num(), num().Set(s), num().Mul(s, s)
	for n := 1; n < 160; n += 2 {
		sum.Add(sum, num().Quo(power, wide(float64(n))))
		power.Mul(power, square)
	}
	return sum.Mul(sum, wide(2))
}

// bigExp is e^x by its series, for |x| halved until it is small.
func bigExp(x *big.Float) *big.Float {
	f, _ := x.Float64()
	k := int(math.Round(f / math.Ln2))
	r := num().Sub(x, num().Mul(wide(float64(k)), ln2))
	sum, term := wide(1), wide(1)
	for n := 1; n < 45; n++ {
		term.Quo(num().Mul(term, r), wide(float64(n)))
		sum.Add(sum, term)
	}
	return sum.SetMantExp(sum, k)
}

// bigLog is ln x by the series of atanh.
func bigLog(x float64) *big.Float {
	m := num()
	k := wide(x).MantExp(m) // m in [1/2, 1)
	if f, _ := m.Float64(); f < math.Sqrt2/2 {
		m.Mul(m, wide(2))
		k--
	}
	s := num().Quo(num().Sub(m, wide(1)), num().Add(m, wide(1)))
	return num().Add(atanh2(s), num().Mul(wide(float64(k)), ln2))
}

// off is how far a value is from the true one, relative to it.
func off(got float64, want *big.Float) float64 {
	if want.Sign() == 0 {
		return math.Abs(got)
	}
	d, _ := num().Quo(num().Sub(wide(got), want), want).Float64()
	return math.Abs(d)
}

func checkOff(t interface{ Errorf(string, ...any) }, what string, got float64, want *big.Float) {
	if e := off(got, want); !(e <= 1e-15) {
		t.Errorf("%s is %v, off by %.2g of it", what, got, e)
	}
}

func TestTwins(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.OneOf(rapid.Float64Range(-708, 709), rapid.Float64Range(-2, 2), rapid.Float64Range(-1e-9, 1e-9)).Draw(t, "x")
		checkOff(t, fmt.Sprintf("exp(%v)", x), exact.Exp(x), bigExp(wide(x)))

		y := rapid.OneOf(rapid.Float64Range(0x1p-1074, math.MaxFloat64), rapid.Float64Range(0.5, 2), rapid.Float64Range(1-1e-9, 1+1e-9)).Draw(t, "y")
		checkOff(t, fmt.Sprintf("ln(%v)", y), exact.Log(y), bigLog(y))

		base := rapid.OneOf(rapid.Float64Range(1e-12, 1e12), rapid.Float64Range(0.5, 2)).Draw(t, "base")
		power := rapid.OneOf(rapid.Float64Range(-5, 5), rapid.Float64Range(-600, 600)).Draw(t, "power")
		want := num().Mul(wide(power), bigLog(base))
		if f, _ := want.Float64(); math.Abs(f) > 700 || math.Abs(f) < 1e-300 {
			return
		}
		checkOff(t, fmt.Sprintf("%v^%v", base, power), exact.Pow(base, power), bigExp(want))
	})
}

// Where the functions are exact or have no value.
func TestEdges(t *testing.T) {
	t.Parallel()
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"exp(0)", exact.Exp(0), 1},
		{"exp(-0)", exact.Exp(math.Copysign(0, -1)), 1},
		{"exp(inf)", exact.Exp(inf), inf},
		{"exp(-inf)", exact.Exp(-inf), 0},
		{"exp(710)", exact.Exp(710), inf},
		{"exp(-746)", exact.Exp(-746), 0},
		{"exp(nan)", exact.Exp(nan), nan},
		{"exp(-745)", exact.Exp(-745), 0x1p-1074},
		{"ln(1)", exact.Log(1), 0},
		{"ln(0)", exact.Log(0), -inf},
		{"ln(-1)", exact.Log(-1), nan},
		{"ln(inf)", exact.Log(inf), inf},
		{"ln(nan)", exact.Log(nan), nan},
		{"0^0", exact.Pow(0, 0), 1},
		{"nan^0", exact.Pow(nan, 0), 1},
		{"2^10", exact.Pow(2, 10), 1024},
		{"2^.5", exact.Pow(2, 0.5), math.Sqrt2},
		{"3^2", exact.Pow(3, 2), 9},
		{"7^1", exact.Pow(7, 1), 7},
		{"0^3", exact.Pow(0, 3), 0},
		{"0^-3", exact.Pow(0, -3), inf},
		{"inf^-3", exact.Pow(inf, -3), 0},
		{"inf^3", exact.Pow(inf, 3), inf},
		{".5^inf", exact.Pow(0.5, inf), 0},
		{".5^-inf", exact.Pow(0.5, -inf), inf},
		{"1^inf", exact.Pow(1, inf), 1},
		{"10^400", exact.Pow(10, 400), inf},
		{"10^-400", exact.Pow(10, -400), 0},
		{"(-2)^2.5", exact.Pow(-2, 2.5), nan},
		{"nan^2.5", exact.Pow(nan, 2.5), nan},
	} {
		if math.Float64bits(c.got) != math.Float64bits(c.want) && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
			t.Errorf("%s is %v, want %v", c.what, c.got, c.want)
		}
	}
}

// The bits of some values: they are those of every CPU.
func TestBits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		got  float64
		want uint64
	}{
		{"exp(1)", exact.Exp(1), 0x4005bf0a8b145769},
		{"exp(-ln10 * .02)", exact.Exp(-math.Ln10 * 0.02), 0x3fee8f4c9c9c4e1b},
		{"ln(10)", exact.Log(10), 0x40026bb1bbb55516},
		{"10^-.3", exact.Pow(10, -0.3), 0x3fe009b9cf334252},
	} {
		if got := math.Float64bits(c.got); got != c.want {
			t.Errorf("%s has the bits %#x, want %#x", c.what, got, c.want)
		}
	}
}

func FuzzTwins(f *testing.F) {
	f.Add(0.1, 3.0)
	f.Fuzz(func(t *testing.T, x, y float64) {
		if math.Abs(x) < 708 {
			checkOff(t, fmt.Sprintf("exp(%v)", x), exact.Exp(x), bigExp(wide(x)))
		}
		if x > 0 && x <= math.MaxFloat64 {
			checkOff(t, fmt.Sprintf("ln(%v)", x), exact.Log(x), bigLog(x))
			if p, _ := num().Mul(wide(y), bigLog(x)).Float64(); math.Abs(p) < 700 && math.Abs(p) > 1e-300 {
				checkOff(t, fmt.Sprintf("%v^%v", x, y), exact.Pow(x, y), bigExp(num().Mul(wide(y), bigLog(x))))
			}
		}
	})
}

func ExampleExp() {
	fmt.Println(exact.Exp(1), exact.Log(exact.Exp(1)), exact.Pow(10, -0.3))
	// Output: 2.718281828459045 1 0.5011872336272722
}
