package sshsig

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// A line is a line of a file of allowed signers: PRINCIPALS [OPTIONS] KEY.
type line struct {
	principals patternList
	options    string
	key        string // with its comment
}

// errNoSigner says that a line is empty or a comment.
var errNoSigner = errors.New("no signer")

// CheckAllowed returns nil if a line of the file text allows identity to sign with key
// in namespace at that time. A line that cannot be read allows nothing. The error
// tells the faults of the lines for identity; file is the name of the file.
func CheckAllowed(file, text string, key ssh.PublicKey, identity, namespace string, at time.Time) error {
	var faults []error
	n := 0
	for l := range strings.SplitSeq(text, "\n") {
		n++
		err := checkLine(strings.TrimSuffix(l, "\r"), key, identity, namespace, at)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errNoSigner):
			faults = append(faults, fmt.Errorf("%s:%d: %w", printable.Text(file), n, err))
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	return fmt.Errorf("%s has no line with the key %s for %s", printable.Text(file), ssh.FingerprintSHA256(key), printable.Quote(identity))
}

// checkLine returns errNoSigner for a line that is not about identity and key.
func checkLine(text string, key ssh.PublicKey, identity, namespace string, at time.Time) error {
	l, err := splitLine(text)
	if err != nil {
		return err
	}
	if !l.principals.matches(identity) {
		return errNoSigner
	}
	typ, options, found, err := l.read()
	if err != nil {
		return err
	}
	if options.isAuthority {
		return errors.New("cert-authority: certificates are not supported, only plain keys")
	}
	if typ != found.Type() {
		return fmt.Errorf("the line says %s and its key is of the type %s", printable.Text(typ), printable.Text(found.Type()))
	}
	if err := checkKind(found); err != nil {
		return err
	}
	if !signer.SameKey(found, key) {
		return errNoSigner
	}
	return options.allow(namespace, at)
}

const blank = " \t"

// splitLine cuts the principals off. They may be in quotes. OpenSSH ends a line at a
// NUL and reads quotes in odd places, so such lines are refused.
func splitLine(text string) (line, error) {
	text = strings.TrimLeft(text, blank)
	if text == "" || text[0] == '#' {
		return line{}, errNoSigner
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' }) {
		return line{}, errors.New("a control character")
	}
	principals, rest := cutBlank(text)
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		if principals, rest, ok = strings.Cut(quoted, `"`); !ok {
			return line{}, errors.New("a quotation mark without its end")
		}
	}
	if strings.Contains(principals, `"`) {
		return line{}, errors.New("a quotation mark within the principals")
	}
	rest = strings.TrimLeft(rest, blank)
	if rest == "" {
		return line{}, errors.New("no key after the principals")
	}
	l := line{principals: patternList(principals), key: rest}
	if typ, _ := cutBlank(rest); !isKeyType(typ) {
		l.options, l.key = cutOptions(rest)
	}
	return l, nil
}

// cutBlank returns the text before the first space or tab, and the rest.
func cutBlank(text string) (first, rest string) {
	end := strings.IndexAny(text, blank)
	if end < 0 {
		return text, ""
	}
	return text[:end], text[end:]
}

// isKeyType reports whether name is the type of a key or a certificate.
func isKeyType(name string) bool {
	return strings.HasPrefix(name, "ssh-") || strings.HasPrefix(name, "ecdsa-sha2-") || strings.HasPrefix(name, "sk-")
}

// cutOptions cuts at the first blank outside quotation marks.
func cutOptions(text string) (options, rest string) {
	quoted := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(blank, c) >= 0:
			return text[:i], strings.TrimLeft(text[i:], blank)
		}
	}
	return text, ""
}

// read reads the options and the key of a line. typ is the type that the line tells.
func (l line) read() (typ string, o options, key ssh.PublicKey, err error) {
	o, err = parseOptions(l.options)
	if err != nil {
		return "", options{}, nil, err
	}
	typ, rest := cutBlank(l.key)
	encoded, _ := cutBlank(strings.TrimLeft(rest, blank))
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err == nil {
		key, err = ssh.ParsePublicKey(blob)
	}
	if err != nil {
		return "", options{}, nil, errors.New("the key cannot be read: after the principals and options comes a key as in a .pub file")
	}
	return typ, o, key, nil
}

// A patternList is a list of patterns with commas: see PATTERNS in ssh_config(5).
type patternList string

// maxPattern is the length of the longest pattern that OpenSSH reads, in bytes.
const maxPattern = 1022

// matches reports whether s matches a pattern of the list, and no pattern after a "!".
func (l patternList) matches(s string) bool {
	found := false
	for p := range strings.SplitSeq(string(l), ",") {
		p, negated := strings.CutPrefix(p, "!")
		if len(p) > maxPattern {
			return false
		}
		if matchPattern(s, p) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// matchPattern compares bytes. "*" matches any text, and "?" any byte. It takes time
// that grows with the product of the lengths.
func matchPattern(s, pattern string) bool {
	star, retry := -1, 0 // the last "*", and where in s the text after it begins
	i, j := 0, 0
	for i < len(s) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, retry = j, i
			j++
		case j < len(pattern) && (pattern[j] == '?' || pattern[j] == s[i]):
			i, j = i+1, j+1
		case star >= 0:
			retry++
			i, j = retry, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[j:], "*") == ""
}
