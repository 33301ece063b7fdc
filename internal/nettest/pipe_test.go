package nettest

import (
	"io"
	"net"
)

// pipe copies until either end closes, and closes both.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}
