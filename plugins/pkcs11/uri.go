package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/countersign/countersign/signer"
)

// A keyURI is the part of RFC 7512 that names a key: the attributes of its path, and
// module-path and pin-source of its query.
type keyURI struct {
	token, manufacturer, serial, model string // "": any
	slot                               *uint  // nil: any
	object, id                         string // "": any
	modulePath                         string // "": the configured one
	pinFile                            string // "": countersign asks
}

// parseURI parses a URI with or without its scheme. A name without "=" is the label of
// an object. Errors wrap ErrName and do not repeat the name.
func parseURI(name string) (keyURI, error) {
	var u keyURI
	if err := signer.CheckName(name, 4096); err != nil {
		return u, err
	}
	name = strings.TrimPrefix(name, "pkcs11:")
	if !strings.Contains(name, "=") {
		u.object = name
		return u, signer.CheckName(name, 4096)
	}
	path, query, _ := strings.Cut(name, "?")
	if err := u.setAll(path, ";", u.setPath); err != nil {
		return u, err
	}
	if query != "" {
		if err := u.setAll(query, "&", u.setQuery); err != nil {
			return u, err
		}
	}
	if u.object == "" && u.id == "" {
		return u, malformed("it names no key: add object=LABEL or id=%01")
	}
	return u, nil
}

func malformed(text string) error {
	return fmt.Errorf("%w: the PKCS #11 URI is malformed: %s", signer.ErrName, text)
}

// setAll sets each attribute of a list. No attribute comes twice (RFC 7512, section 2.3).
func (u *keyURI) setAll(list, separator string, set func(name, value string) error) error {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(list, separator) {
		name, encoded, ok := strings.Cut(part, "=")
		value, err := url.PathUnescape(encoded)
		switch {
		case !ok || err != nil || value == "":
			return malformed("an attribute is name=value, with % and two hexadecimal digits for special characters")
		case seen[name]:
			return malformed("it has an attribute twice")
		}
		seen[name] = true
		if err := set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (u *keyURI) setPath(name, value string) error {
	switch name {
	case "token":
		u.token = value
	case "manufacturer":
		u.manufacturer = value
	case "serial":
		u.serial = value
	case "model":
		u.model = value
	case "object":
		u.object = value
	case "id":
		u.id = value
	case "slot-id":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return malformed("slot-id is a number")
		}
		slot := uint(n)
		u.slot = &slot
	case "type":
		if value != "private" && value != "public" {
			return malformed("type is private or public")
		}
	default:
		return malformed("known attributes are token, manufacturer, serial, model, slot-id, object, id and type")
	}
	return nil
}

func (u *keyURI) setQuery(name, value string) error {
	switch name {
	case "module-path":
		u.modulePath = value
	case "pin-source":
		path, isFile := strings.CutPrefix(value, "file:")
		if path = strings.TrimPrefix(path, "//"); !isFile || !strings.HasPrefix(path, "/") {
			return malformed("pin-source is file:/PATH; countersign also takes a PIN with --passphrase-file and --passphrase-fd")
		}
		u.pinFile = path
	case "pin-value":
		return malformed("a reference never holds a PIN: use pin-source")
	default:
		return malformed("known attributes after ? are module-path and pin-source")
	}
	return nil
}

// path returns the attributes of the path, as keys are listed.
func (u keyURI) path() string {
	var parts []string
	for _, a := range []struct{ name, value string }{{"token", u.token}, {"object", u.object}, {"id", u.id}} {
		if a.value != "" {
			parts = append(parts, a.name+"="+escape(a.value))
		}
	}
	return strings.Join(parts, ";")
}

// escape escapes all bytes but those that RFC 7512 leaves as they are everywhere.
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
