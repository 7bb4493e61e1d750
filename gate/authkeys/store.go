package authkeys

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/gate/watch"
)

// A Store has the enrolled keys and the deny list as their files are now. It is safe
// for concurrent use.
type Store struct {
	authorized *watch.File[*Keys]
	denied     *watch.File[*Denied] // nil without a deny list
}

// Open reads the file of enrolled keys, and the deny list unless its path is "". An
// error means that one of them cannot be read. Lines with mistakes are no error:
// [Store.Keys] has them.
func Open(authorized, denied string) (*Store, error) {
	s := &Store{}
	var err, err2 error
	s.authorized, err = watch.Open(authorized, func(data []byte) (*Keys, error) { return Parse(data, authorized), nil })
	if denied != "" {
		s.denied, err2 = watch.Open(denied, func(data []byte) (*Denied, error) { return ParseDenied(data, denied) })
	}
	return s, errors.Join(err, err2)
}

// Files returns the files to look at.
func (s *Store) Files() []watch.Watched {
	if s.denied == nil {
		return []watch.Watched{s.authorized}
	}
	return []watch.Watched{s.authorized, s.denied}
}

// Keys returns the enrolled keys and the lines with mistakes.
func (s *Store) Keys() *Keys { return s.authorized.Get() }

// Find returns the line that enrols key, if it may be used now by the client at
// address. Errors are ErrUnknown, ErrExpired, ErrAddress and ErrDenied, which it also
// returns for every key while the deny list cannot be read.
func (s *Store) Find(key ssh.PublicKey, address netip.Addr, now time.Time) (Entry, error) {
	if err := s.CheckDenied(key); err != nil {
		return Entry{}, err
	}
	e, ok := s.Keys().Find(key)
	if !ok {
		return Entry{}, fmt.Errorf("%w: %s", ErrUnknown, ssh.FingerprintSHA256(key))
	}
	return e, e.Check(address, now)
}

// FindFingerprint is Find for a key that proved itself earlier, by its fingerprint.
func (s *Store) FindFingerprint(fingerprint string, address netip.Addr, now time.Time) (Entry, error) {
	e, ok := s.Keys().FindFingerprint(fingerprint)
	if !ok {
		return Entry{}, fmt.Errorf("%w: %s", ErrUnknown, fingerprint)
	}
	return s.Find(e.Key, address, now)
}

// CheckDenied returns ErrDenied if key is on the deny list, or if the list cannot be read.
func (s *Store) CheckDenied(key ssh.PublicKey) error {
	if s.denied == nil {
		return nil
	}
	if s.denied.Err() != nil {
		return fmt.Errorf("%w: the list cannot be read, so every key is refused", ErrDenied)
	}
	return s.denied.Get().check(key)
}
