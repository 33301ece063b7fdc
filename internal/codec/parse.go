package codec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Codec is an encoding with its parameters. The zero value is none; start with [Parse].
type Codec struct {
	name     string
	block    int     // of q8
	fraction float64 // of topk
	half     bool    // the values of topk are f16

	Feedback bool // what an update leaves over goes into the next: the site's concern alone
	Zstd     bool // the bytes are one zstd frame
}

// Names of the encodings.
const (
	Dense = "dense" // the values as they are
	F16   = "f16"
	BF16  = "bf16"
	Q8    = "q8"
	TopK  = "topk"
	Zstd  = "zstd" // after any of them
)

// Known are the words by which a site says what it can encode; ascending.
func Known() []string { return []string{BF16, F16, Q8, TopK, Zstd} }

// Bounds of the parameters.
const (
	defaultBlock    = 256
	minBlock        = 16
	maxBlock        = 4096
	defaultFraction = 0.01
	minFraction     = 1e-4
	maxFraction     = 0.5
)

// forms is what an encoding may be.
const forms = "dense, f16, bf16, q8, q8:BLOCK, topk:FRACTION or topk:FRACTION:f16, each with +zstd after it, q8 with +feedback and topk with -feedback before that"

// Parse reads an encoding: see [Codec.String].
func Parse(text string) (Codec, error) {
	c, err := parse(text)
	if err != nil {
		return c, fmt.Errorf("encoding %.64q: %w; want %s", text, err, forms)
	}
	return c, nil
}

func parse(text string) (c Codec, err error) {
	rest, zstd := strings.CutSuffix(text, "+"+Zstd)
	rest, without := strings.CutSuffix(rest, "-feedback")
	rest, with := strings.CutSuffix(rest, "+feedback")
	name, params, has := strings.Cut(rest, ":")
	if has && params == "" {
		return c, fmt.Errorf("nothing stands behind the colon of %.40s", name)
	}
	c = Codec{name: name, Zstd: zstd, Feedback: name == TopK && !without || with}
	switch name {
	case Dense, F16, BF16:
		if has {
			err = fmt.Errorf("%s has no parameter", name)
		}
	case Q8:
		c.block, err = blockOf(params)
	case TopK:
		err = c.topParams(params)
	default:
		err = fmt.Errorf("unknown: %.40q", name)
	}
	if err == nil && (without && name != TopK || with && name != Q8) {
		err = fmt.Errorf("feedback of %s cannot be set", name)
	}
	return c, err
}

func blockOf(text string) (int, error) {
	if text == "" {
		return defaultBlock, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < minBlock || n > maxBlock {
		return 0, fmt.Errorf("a block of %.20q values, want %d to %d", text, minBlock, maxBlock)
	}
	return n, nil
}

func (c *Codec) topParams(text string) error {
	share, values, has := strings.Cut(text, ":")
	if c.fraction = defaultFraction; share != "" {
		f, err := strconv.ParseFloat(share, 64)
		if err != nil || !(f >= minFraction && f <= maxFraction) {
			return fmt.Errorf("a fraction of %.20q, want %v to %v", share, minFraction, maxFraction)
		}
		c.fraction = f
	}
	if c.half = values == F16; has && !c.half {
		return fmt.Errorf("values as %.20q, want f16 or nothing", values)
	}
	return nil
}

// String is the one way in which orders, updates and records write the encoding.
func (c Codec) String() string {
	text := c.name
	switch {
	case c.name == Q8 && c.block != defaultBlock:
		text += ":" + strconv.Itoa(c.block)
	case c.name == TopK:
		text += ":" + strconv.FormatFloat(c.fraction, 'g', -1, 64)
		if c.half {
			text += ":" + F16
		}
	}
	switch {
	case c.name == Q8 && c.Feedback:
		text += "+feedback"
	case c.name == TopK && !c.Feedback:
		text += "-feedback"
	}
	if c.Zstd {
		text += "+" + Zstd
	}
	return text
}

// Sparse reports an encoding that sends some of the values alone.
func (c Codec) Sparse() bool { return c.name == TopK }

// Takes reports whether an update in another encoding answers an order for this one: in
// the same, without feedback, which its bytes do not show, and with zstd or without.
func (c Codec) Takes(other Codec) bool {
	c.Feedback, other.Feedback = false, false
	c.Zstd = c.Zstd && other.Zstd
	return c == other
}

// words are those of [Known] that a site must be able to do.
func (c Codec) words() (list []string) {
	if c.name != Dense {
		list = append(list, c.name)
	}
	if c.Zstd {
		list = append(list, Zstd)
	}
	return list
}

// Lacks are the words that are not among those a site has said.
func (c Codec) Lacks(can []string) []string {
	return slices.DeleteFunc(c.words(), func(w string) bool { return slices.Contains(can, w) })
}

func (c Codec) form() form {
	switch c.name {
	case F16:
		return half{toF16, fromF16}
	case BF16:
		return half{toBF16, fromBF16}
	case Q8:
		return q8{c.block}
	case TopK:
		return topK{c.fraction, c.half}
	}
	return dense{}
}

// kept is how many of d values topk sends.
func kept(fraction float64, d int) int {
	if d == 0 {
		return 0
	}
	return max(1, int(math.Ceil(float64(fraction*float64(d))-1e-9)))
}
