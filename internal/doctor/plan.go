package doctor

import "fmt"

// gentle is what a broker in use can be asked: as large as fedmq's own messages,
// and no more of them than tell a limit from none.
var gentle = extent{packet: defaultPart + 4<<10, wildcard: 100, order: 50, queue: leastQueue + 80, parts: filtersPerSub}

// load is what an examination publishes at most.
type load struct {
	messages, bytes int
}

// load counts, of a broker that takes everything, what each step publishes, and
// the empty messages that clear what was retained.
func (x extent) load() load {
	var l load
	add := func(n, bytes int) { l.messages += n; l.bytes += n * bytes }
	add(2, 0)                           // historian
	add(3, 32)                          // names
	add(4, 2)                           // the first message, its kin of the later steps
	add(2*pairs, pairBytes)             // messages in a row
	for size := smallest; ; size *= 2 { // packet limit
		add(1, min(size, x.packet))
		if size >= x.packet {
			break
		}
	}
	add(x.parts, min(defaultPart, x.packet))
	add(1, x.packet) // the largest that is kept
	add(x.wildcard, 2)
	add(x.order, 8)
	add(x.queue, queueBytes)
	add(7, 2)                      // Wills, session, shared, QoS 2, access
	add(x.parts+1+x.wildcard+1, 0) // cleared
	return l
}

// Plan says what an examination will publish below which topic, for those who
// keep what they get: historians.
func Plan(namespace, node string, soft bool) string {
	x := whole
	if soft {
		x = gentle
	}
	l := x.load()
	if node == "" {
		node = "fedmq-doctor/<random>"
	}
	text := fmt.Sprintf("It will publish up to %d messages, %.1f MB, of which %d are retained and cleared again, the largest of %d bytes, below %s/%s/_fl_v1. "+
		"Whoever subscribes to %s/# gets them all, a historian too.", l.messages, float64(l.bytes)/1e6, x.parts+2+x.wildcard, x.packet, namespace, node, namespace)
	if !soft {
		g := gentle.load()
		text += fmt.Sprintf(" With --gentle: %d messages, %.1f MB.", g.messages, float64(g.bytes)/1e6)
	}
	return text
}
