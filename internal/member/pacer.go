package member

// Line is what the parts of all tasks of a site share: its cap (S-27).
type Line struct{ up, down pacer }

// NewLine is a line that is capped at a rate in bits a second for each direction;
// 0: it is not.
func NewLine(bits int64) *Line { return &Line{up: pace(bits), down: pace(bits)} }

// Room is how many parts of a size the site may ask for by itself now, beside what its
// machines ask for; -1 for any number.
func (l *Line) Room(now int64, size int) int { return l.down.room(now, size) }

// Take pays for bytes that were asked for.
func (l *Line) Take(now int64, bytes int) { l.down.take(now, bytes) }

// Next is when there is room for a part again.
func (l *Line) Next(now int64) int64 { return l.down.next(now) }

// pacer bounds parts by a token bucket (S-27): so many bytes a second, of which
// a second's worth may be saved up. A part may go when nothing is owed, and
// then costs its size, so that a part that is larger than the bucket goes too.
// The zero pacer bounds nothing.
type pacer struct {
	rate   int64 // bytes a second, 0 for no bound
	tokens int64 // thousandths of a byte; below zero: owed
	at     ms
}

// pace is a pacer of a rate in bits a second.
func pace(bits int64) pacer { return pacer{rate: bits / 8} }

// room is how many parts of a size may go now, -1 for any number.
func (p *pacer) room(now ms, size int) int {
	if p.rate == 0 {
		return -1
	}
	p.fill(now)
	if p.tokens < 0 {
		return 0
	}
	return 1 + int(p.tokens/1000)/max(size, 1)
}

// take pays for bytes that go.
func (p *pacer) take(now ms, bytes int) {
	if p.rate > 0 {
		p.fill(now)
		p.tokens -= 1000 * int64(bytes)
	}
}

// next is when there is room for a part again.
func (p *pacer) next(now ms) ms {
	if p.rate == 0 || p.tokens >= 0 {
		return now
	}
	return p.at + (-p.tokens+p.rate-1)/p.rate
}

func (p *pacer) fill(now ms) {
	most := 1000 * p.rate
	if p.at != 0 && now > p.at {
		// More than what fills the bucket would only risk an overflow.
		p.tokens += min(now-p.at, 1+(most-p.tokens)/p.rate) * p.rate
	}
	p.tokens, p.at = min(p.tokens, most), max(p.at, now)
}
