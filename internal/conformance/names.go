package conformance

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// checkNames tries names that no key can have. Some of them are keys, as a shell
// makes them of env:$KEY, so no error may repeat a name.
func checkNames(t TB, s *store) {
	key := NewKey(t)
	s.guard(key)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	pasted := string(pem.EncodeToMemory(block))
	names := []string{
		"two lines\nof text",
		"a bell \a rings",
		"a NUL \x00 inside",
		"not UTF-8 \xff\xfe",
		strings.Repeat("long", 16<<10),
		pasted,
		strings.ReplaceAll(pasted, "\n", `\n`),
		strings.ReplaceAll(pasted, "\n", " "),
		base64.StdEncoding.EncodeToString([]byte(pasted)),
		hex.EncodeToString(key.Seed()),
		strings.ToUpper(hex.EncodeToString(key.Seed())),
		base64.StdEncoding.EncodeToString(key.Seed()),
		base64.RawURLEncoding.EncodeToString(key.Seed()),
	}
	if !s.emptyMeansOnly(t) {
		names = append(names, "")
	}
	before := s.snapshot(t)
	for _, c := range s.callsOfNew("", NewKey(t)) {
		checkRefusal(t, c.op, "", c.run(t.Context()))
	}
	for _, name := range append(names, s.BadNames...) {
		calls := append(s.callsOfExisting(name), s.callsOfNew(name, NewKey(t))...)
		for _, c := range calls {
			checkRefusal(t, c.op, name, c.run(t.Context()))
		}
		_, err := s.openRef(t.Context(), name)
		checkRefusal(t, "Open through a Mux", name, err)
	}
	s.unchanged(t, before, "a malformed name")
}

// emptyMeansOnly reports whether the empty name means the only key of the store. With
// a second key, that name must open no key, and a search must not go on to another
// store.
func (s *store) emptyMeansOnly(t TB) bool {
	t.Helper()
	if !s.canPut() {
		return false
	}
	key := NewKey(t)
	s.put(t, key)
	k, err := s.open(t.Context(), "")
	if err != nil || !signer.SameKey(k.PublicKey(), publicKey(t, key)) {
		return false
	}
	s.put(t, NewKey(t))
	_, err = s.open(t.Context(), "")
	if err == nil {
		t.Error("Open(\"\") opened one of several keys")
	}
	mustNotBeAbsent(t, "Open(\"\") with several keys", err)
	return true
}

func checkRefusal(t TB, op, name string, err error) {
	t.Helper()
	op += fmt.Sprintf("(%q)", head(name))
	mustBe(t, op, err, signer.ErrName)
	if len(name) < 8 {
		return // too short to tell an echo from plain words
	}
	echo := bytesForms("name", []byte(head(name)))
	if found := find(err, echo); found != "" {
		t.Errorf("%s: the malformed name is repeated: %s", op, found)
	}
}

// head returns the beginning of a name, by which an echo is known even if it
// was cut short.
func head(name string) string { return name[:min(len(name), 48)] }
