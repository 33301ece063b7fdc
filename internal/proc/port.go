package proc

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// The ports that are handed out. The system gives none of them to whoever asks for
// any port (Linux: from 32768 on), so none is lost between a look and its use. Start
// scripts of brokers may take 10000 + 2 x port mod 50000 and the next one as well:
// these are 10000 to 22767, two of their own for each port here.
const (
	firstPort = 25_000
	ports     = 6_384
)

var (
	portMu sync.Mutex
	given  = map[int]bool{}
)

// Port returns a port of this host on which nobody listens, each only once.
func Port() (string, error) {
	portMu.Lock()
	defer portMu.Unlock()
	for range 10 * ports {
		n := firstPort + rand.IntN(ports) // no secret: processes of tests keep out of each other's way
		port := strconv.Itoa(n)
		if given[n] || !free(port) {
			continue
		}
		given[n] = true
		return port, nil
	}
	return "", errors.New("no port is free")
}

// free looks by listening. A process that is forked meanwhile would have the
// listener, too, until it becomes another program.
func free(port string) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	return err == nil && l.Close() == nil
}
