package keyfile

import "bytes"

// TrimLineEnd removes one line end, LF or CRLF, from the end of a secret. Editors
// and echo add it.
func TrimLineEnd(text []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
}
