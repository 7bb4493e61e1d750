package authkeys

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/keyfile"
)

// Denied is a deny list: keys that are refused although they are enrolled.
type Denied struct{ fingerprints map[string]bool }

var fingerprintPattern = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

// ParseDenied reads a deny list: in each line a fingerprint, "SHA256:...", or a key as
// in authorized_keys. A line that is neither may mean any key, so it is an error of
// the whole list.
func ParseDenied(data []byte, file string) (*Denied, error) {
	d := &Denied{map[string]bool{}}
	var mistakes []error
	number := 0
	for line := range bytes.Lines(keyfile.Text(data)) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if fingerprint, _, _ := bytes.Cut(line, []byte(" ")); fingerprintPattern.Match(fingerprint) {
			d.fingerprints[string(fingerprint)] = true
		} else if key, _, _, rest, err := ssh.ParseAuthorizedKey(line); err == nil && len(rest) == 0 {
			d.fingerprints[ssh.FingerprintSHA256(key)] = true
		} else {
			mistakes = append(mistakes, &Mistake{file, number, "neither a fingerprint (SHA256:...) nor a line of authorized_keys: no key is accepted until this is mended"})
		}
	}
	return d, errors.Join(mistakes...)
}

// check returns ErrDenied if key is on the list.
func (d *Denied) check(key ssh.PublicKey) error {
	if fingerprint := ssh.FingerprintSHA256(key); d.fingerprints[fingerprint] {
		return fmt.Errorf("%w: %s", ErrDenied, fingerprint)
	}
	return nil
}
