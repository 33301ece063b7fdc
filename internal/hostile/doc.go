// Package hostile attacks real processes of the built program, over real
// connections, and measures what that costs others: rounds of honest sites, memory
// and log of the broker. It has tests only, which run where FEDMQ_TEST_HOSTILE says
// so (`make hostile`): "short" takes seconds a row, anything else as long as it
// takes to wear something out.
//
// A row is an attack; it says how it went in words, and the table gives the
// verdict. Rows run one after the other against one broker and one federation, so
// that what one leaves behind meets the next. It never leaves loopback.
package hostile
