package trainer

import (
	"crypto/sha256"
	"encoding/binary"
)

// seedDomain keeps these hashes apart from every other use of SHA-256.
const seedDomain = "fedmq.seed.v1\x00"

// Seed derives the seed of one job: SHA-256 over the domain "fedmq.seed.v1",
// a zero byte, the task's seed and the round (8 bytes each, big endian) and
// the member's path. The attempt is left out on purpose, so that a round which
// is opened again repeats the same work.
func Seed(taskSeed uint64, member string, round uint64) [32]byte {
	b := make([]byte, 0, len(seedDomain)+16+len(member))
	b = append(b, seedDomain...)
	b = binary.BigEndian.AppendUint64(b, taskSeed)
	b = binary.BigEndian.AppendUint64(b, round)
	b = append(b, member...)
	return sha256.Sum256(b)
}
