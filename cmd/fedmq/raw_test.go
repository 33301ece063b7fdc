package main

import (
	"io"
	"net"
)

// subscribeRaw says CONNECT and SUBSCRIBE with QoS 0 for one filter, in the bytes
// of MQTT 3.1.1, so that a test needs no client.
func subscribeRaw(c net.Conn, filter string) error {
	text := func(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }
	connect := append(text("MQTT"), 4, 2, 0, 0) // clean session, no keep-alive
	connect = append(connect, text("")...)
	body := append([]byte{0, 1}, append(text(filter), 0)...)
	packet := append([]byte{0x10, byte(len(connect))}, connect...)
	packet = append(packet, 0x82, byte(len(body)))
	_, err := c.Write(append(packet, body...))
	return err
}

// nextRaw reads one packet, and returns the payload if it is a PUBLISH of QoS 0.
func nextRaw(c net.Conn) ([]byte, error) {
	var b [1]byte
	read := func() (byte, error) { _, err := io.ReadFull(c, b[:]); return b[0], err }
	kind, err := read()
	if err != nil {
		return nil, err
	}
	length := 0
	for shift := 0; ; shift += 7 {
		x, err := read()
		if err != nil {
			return nil, err
		}
		if length |= int(x&0x7f) << shift; x < 0x80 {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c, body); err != nil || kind>>4 != 3 {
		return nil, err
	}
	return body[2+int(body[0])<<8+int(body[1]):], nil
}
