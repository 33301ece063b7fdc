package table

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// headBytes are looked at to tell what a file is.
const headBytes = 512

// kinds are what people put behind the name of a CSV file, by the bytes they
// begin with; the first that fits counts.
var kinds = []struct{ magic, what string }{
	{"PK\x03\x04", "a zip archive; unpack it"},
	{"PK\x05\x06", "an empty zip archive"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls); save it as CSV UTF-8"},
	{"PAR1", "a Parquet file in gzip; unpack it"},
	{"\x28\xb5\x2f\xfd", "compressed with zstd; gzip is read as it is"},
	{"\xfd7zXZ\x00", "compressed with xz; gzip is read as it is"},
	{"BZh", "compressed with bzip2; gzip is read as it is"},
	{"\x04\x22\x4d\x18", "compressed with lz4; gzip is read as it is"},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it"},
	{"Rar!", "a RAR archive; unpack it"},
	{"\x1f\x8b", "gzip in gzip; unpack it once"},
	{"\xff\xfe\x00\x00", "UTF-32 text; save it as CSV UTF-8"},
	{"\x00\x00\xfe\xff", "UTF-32 text; save it as CSV UTF-8"},
	{"ARROW1", "an Arrow file; write it as CSV"},
	{"FEA1", "a Feather file; write it as CSV"},
	{"ORC", "an ORC file; write it as CSV"},
	{"Obj\x01", "an Avro file; write it as CSV"},
	{"\x89HDF\r\n\x1a\n", "an HDF5 file; write it as CSV"},
	{"\x93NUMPY", "a numpy array; write it as CSV"},
	{"SQLite format 3\x00", "an SQLite database; export a table as CSV"},
	{"%PDF-", "a PDF document"},
	{"<!DOCTYPE", "an HTML page, as a server sends in place of a file"},
	{"<html", "an HTML page, as a server sends in place of a file"},
	{"<?xml", "an XML document; write it as CSV"},
}

// foreign says what a file that begins with head is, where that is no CSV. Where the
// encoding is known zero bytes are its own.
func foreign(head []byte, known bool) string {
	for _, k := range kinds {
		if !bytes.HasPrefix(head, []byte(k.magic)) {
			continue
		}
		if k.magic == "PK\x03\x04" && (bytes.Contains(head, []byte("[Content_Types].xml")) || bytes.Contains(head, []byte("xl/"))) {
			return "an Excel workbook (.xlsx); save it as CSV UTF-8"
		}
		return k.what
	}
	switch {
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return "a tar archive; unpack it"
	case !known && bytes.IndexByte(head, 0) >= 0 && !wideText(head):
		return "no text: it has NUL bytes"
	}
	return ""
}

// wideText reports that a text is UTF-16, as decode finds it.
func wideText(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) || zeros(head, 0) || zeros(head, 1)
}

// cutShort explains what gzip says of a file that is not whole.
func cutShort(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the gzip data end too early, as of a copy under way (%w)", err)
	case errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("after the gzip data something else follows (%w)", err)
	}
	return err
}

// regular reports a file that is none: opening a pipe waits for a writer, and a
// device never ends.
func regular(info fs.FileInfo) error {
	var what string
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	default:
		what = "no regular file"
	}
	return errors.New(what + ": want a regular file, which can be read again")
}
