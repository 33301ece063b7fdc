package aggregator

import "github.com/fedmq/fedmq/strategy"

// Memory that Run needs beside models and staging: parts on their way in and
// out, and the program itself.
const otherMemory = 64 << 20

// blocksMemory is what blocks of all updates take, and what is mixed of them.
const blocksMemory = 160 << 20

// Memory returns how many bytes of memory a process that does nothing but Run
// needs at most, for up to a thousand members: four times each task's model
// (its tensors, their sum in 8 bytes a value, and one buffer), twice the state of
// its server optimiser, StageMemory, and 64 MiB; where updates are read together at the end
// of a round, blocks of them, and twice what may be kept of them in 8 bytes a value. Given to debug.SetMemoryLimit it keeps what is collected late within
// that bound.
func (c Config) Memory() int64 {
	c = c.withDefaults()
	n := int64(c.StageMemory) + otherMemory
	for _, t := range c.Tasks {
		if t.Init != nil {
			state, _ := c.Strategies.StateSize(t.Server, t.ServerParams, t.Init.Schema) // 0 for what Validate refuses
			n += 4*int64(t.Init.Schema.Bytes()) + 2*int64(state)
			if about, ok := c.Strategies.AboutStrategy(t.Strategy); ok && about.Kind == strategy.KindSelective {
				n += blocksMemory + 16*int64(t.Init.Schema.Elements())
			}
		}
	}
	return n
}
