package challenge

// A class is a set of bytes (RFC 9110, sections 5.6 and 11.2).
type class uint16

const (
	tchar  class = 1 << iota
	t68          // token68 without its padding
	equals       // the padding
	space
	ows // space or tab
	comma
	qdtext
	escapable // after the backslash of a quoted-pair
	loose     // in an unquoted value of a server that forgets the quotes
)

// classes holds for each byte the classes that it is in.
var classes = func() (t [256]class) {
	add := func(c class, bytes string) {
		for i := range len(bytes) {
			t[bytes[i]] |= c
		}
	}
	add(tchar|t68, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	add(tchar|t68, "abcdefghijklmnopqrstuvwxyz0123456789-._~+")
	add(tchar, "!#$%&'*^`|")
	add(t68, "/")
	add(equals, "=")
	add(space|ows, " ")
	add(ows, "\t")
	add(comma, ",")
	for b := range t {
		if b == '\t' || b >= ' ' && b != 0x7f {
			t[b] |= qdtext | escapable
		}
		if b > ' ' && b != 0x7f && b != '"' && b != ',' {
			t[b] |= loose
		}
	}
	t['"'] &^= qdtext
	t['\\'] &^= qdtext
	return t
}()
