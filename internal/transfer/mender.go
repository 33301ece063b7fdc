package transfer

import "github.com/fedmq/fedmq/wire"

// Mender publishes the parts of one blob on its slot: all of them at first and
// after a reconnect, and those that members need. It starts disconnected.
type Mender struct{}

// MendReady is what a Mender owes.
type MendReady struct {
	Publish []uint32 // parts to publish, retained; at most 8 are in flight
	Done    bool     // every part has been acknowledged since All; said once
	Wake    int64    // when the next Tick is wanted, 0 for never
}

// NewMender returns a mender without a blob.
func NewMender() *Mender { return &Mender{} }

// Hold sets the blob, and forgets what was owed of another. The same blob
// changes nothing.
func (m *Mender) Hold(blob wire.Blob) {}

// All owes every part once more.
func (m *Mender) All(now int64) {}

// Need takes what a member asked for; parts of another blob are not mended.
func (m *Mender) Need(now int64, n wire.Need) {}

// Sent reports what came of publishing a part; what failed is owed again.
func (m *Mender) Sent(now int64, index uint32, ok bool) {}

// Connected says that the link is up.
func (m *Mender) Connected(now int64) {}

// Disconnected says that the link is down: what was in flight is owed again.
func (m *Mender) Disconnected(now int64) {}

// Tick passes the time.
func (m *Mender) Tick(now int64) {}

// Ready returns what is owed since the last call.
func (m *Mender) Ready() MendReady { return MendReady{} }

// Progress returns how many parts have been acknowledged since All.
func (m *Mender) Progress() (done, count int) { return 0, 0 }
