package server

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Types, flags and settings of HTTP/2's frames (RFC 9113), as far as these tests need them.
const (
	frameData         = 0
	frameHeaders      = 1
	frameSettings     = 4
	framePing         = 6
	frameWindowUpdate = 8
	frameContinuation = 9
	// frameUnknown is one that a server must read and ignore.
	frameUnknown = 0xfa

	flagEndStream  = 1
	flagAck        = 1
	flagEndHeaders = 4

	settingStreams    = 3
	settingWindow     = 4
	settingFrame      = 5
	settingHeaderList = 6

	// What holds before a server says otherwise.
	firstWindow, firstFrame = 65535, 16384
)

// framer speaks HTTP/2 by the frame, since Go's client is too well-behaved for what is to be tested.
type framer struct {
	t *testing.T
	*tls.Conn
	reader *bufio.Reader
	// settings are the server's; window is what it takes of bodies on the whole connection.
	settings map[uint16]int
	window   int
}

// dialFrames opens a connection on which the client's answers may hold this many bytes until it asks for more.
func dialFrames(t *testing.T, address string, client *http.Client, window uint32) *framer {
	t.Helper()
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	f := &framer{
		t: t, Conn: conn, reader: bufio.NewReaderSize(conn, 64), window: firstWindow,
		settings: map[uint16]int{settingWindow: firstWindow, settingFrame: firstFrame},
	}
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	f.send(frameSettings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, settingWindow}, window))
	// What the server says at first it has said before it answers this.
	f.send(framePing, 0, 0, make([]byte, 8))
	for {
		kind, flags, stream, payload := f.receive()
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			for ; len(payload) >= 6; payload = payload[6:] {
				f.settings[binary.BigEndian.Uint16(payload)] = int(binary.BigEndian.Uint32(payload[2:]))
			}
			f.send(frameSettings, flagAck, 0, nil)
		case kind == frameWindowUpdate && stream == 0:
			f.window += int(binary.BigEndian.Uint32(payload))
		case kind == framePing:
			return f
		}
	}
}

func (f *framer) send(kind, flags byte, stream uint32, payload []byte) {
	f.t.Helper()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	frame = binary.BigEndian.AppendUint32(append(frame, flags), stream)
	if _, err := f.Write(append(frame, payload...)); err != nil {
		f.t.Fatalf("send a frame of type %d: %v", kind, err)
	}
}

func (f *framer) receive() (kind, flags byte, stream uint32, payload []byte) {
	f.t.Helper()
	var head [9]byte
	if _, err := io.ReadFull(f.reader, head[:]); err != nil {
		f.t.Fatalf("receive a frame: %v", err)
	}
	payload = make([]byte, binary.BigEndian.Uint32(head[:])>>8)
	if _, err := io.ReadFull(f.reader, payload); err != nil {
		f.t.Fatalf("receive a frame of type %d: %v", head[3], err)
	}
	return head[3], head[4], binary.BigEndian.Uint32(head[5:]), payload
}

// get asks for "/" on a new stream with a header of so many bytes beside what there must be. ended: no body follows.
func (f *framer) get(stream uint32, size int, ended bool) {
	f.t.Helper()
	// By HPACK: three lines of its own table, then lines that are written out.
	block := append([]byte{0x82, 0x87, 0x84, 0x41}, "\x01x"...)
	if size > 0 {
		block = append(append(block, 0), "\x01x"...)
		block = append(hpackInteger(block, size), strings.Repeat("x", size)...)
	}
	kind, flags := byte(frameHeaders), byte(0)
	if ended {
		flags = flagEndStream
	}
	for len(block) > firstFrame {
		f.send(kind, flags, stream, block[:firstFrame])
		kind, flags, block = frameContinuation, 0, block[firstFrame:]
	}
	f.send(kind, flags|flagEndHeaders, stream, block)
}

// hpackInteger appends a number with a prefix of seven bits.
func hpackInteger(b []byte, n int) []byte {
	const most = 1<<7 - 1
	if n < most {
		return append(b, byte(n))
	}
	return binary.AppendUvarint(append(b, most), uint64(n-most))
}
