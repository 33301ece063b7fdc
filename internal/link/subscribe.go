package link

// Subscribe adds filters to the table and asks the broker for them, now when
// the link is up and again at each connect. A filter that is already there is
// asked for again, with the new QoS. Refusals arrive as State.Err.
func (c *Conn) Subscribe(filters ...Filter) {}

// Unsubscribe takes filters out of the table. The UNSUBSCRIBE sent is a hint:
// messages may still arrive (C-7).
func (c *Conn) Unsubscribe(filters ...string) {}

// Resubscribe asks again for filters of the table, so that the broker sends
// their retained messages once more. While the link is down it does nothing, as
// the next connect asks for everything.
func (c *Conn) Resubscribe(filters ...string) {}
