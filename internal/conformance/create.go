package conformance

import (
	"crypto"
	"crypto/ed25519"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

func checkGenerate(t TB, s *store) {
	as[signer.Generator](t, s)
	var pubs []ssh.PublicKey
	for range 2 {
		name := s.name(t)
		k, err := s.generate(t.Context(), name)
		if err != nil {
			t.Fatalf("Generate(%q): %v", name, err)
		}
		pub := k.PublicKey()
		if pub.Type() != ssh.KeyAlgoED25519 {
			t.Errorf("Generate made a key of type %s, want %s", pub.Type(), ssh.KeyAlgoED25519)
		}
		if slices.ContainsFunc(pubs, func(p ssh.PublicKey) bool { return signer.SameKey(p, pub) }) {
			t.Errorf("Generate made the key %s twice", fingerprint(pub))
		}
		pubs = append(pubs, pub)
		s.signs(t, k, pub, []byte("message"))
		s.holds(t, name, pub)
		if has[signer.Exporter](s) {
			if _, err := s.export(t.Context(), name); err != nil { // to know the secret that no result may show
				t.Errorf("Export(%q): %v", name, err)
			}
		}
	}
}

func checkGenerateExisting(t TB, s *store) {
	as[signer.Generator](t, s)
	name, pub := s.stored(t)
	before := s.snapshot(t)
	_, err := s.generate(t.Context(), name)
	mustBe(t, "Generate of an existing key", err, signer.ErrExists)
	s.unchanged(t, before, "Generate of an existing key")
	s.holds(t, name, pub)
}

func checkImport(t TB, s *store) {
	as[signer.Importer](t, s)
	value, pointer := NewKey(t), NewKey(t)
	for _, key := range []crypto.Signer{value, &pointer} { // as PKCS#8 and OpenSSH files are parsed
		name := s.name(t)
		s.guard(key)
		if err := s.importKey(t.Context(), name, key); err != nil {
			t.Fatalf("Import of a %T: %v", key, err)
		}
		s.holds(t, name, publicKey(t, key))
	}
}

func checkImportExisting(t TB, s *store) {
	as[signer.Importer](t, s)
	key := NewKey(t)
	name := s.put(t, key)
	before := s.snapshot(t)
	for _, other := range []crypto.Signer{NewKey(t), key} {
		s.guard(other)
		err := s.importKey(t.Context(), name, other)
		mustBe(t, "Import over an existing key", err, signer.ErrExists)
	}
	s.unchanged(t, before, "Import over an existing key")
	s.holds(t, name, publicKey(t, key))
}

// checkImportUnfit imports two keys that must not be stored: a key that cannot be
// read, as in hardware, and a key whose halves do not belong together. Each
// signature with the second key would give its seed away.
func checkImportUnfit(t TB, s *store) {
	as[signer.Importer](t, s)
	opaque := struct{ crypto.Signer }{NewKey(t)}
	mixed := slices.Concat(NewKey(t).Seed(), NewKey(t).Public().(ed25519.PublicKey))
	name := s.name(t)
	before := s.snapshot(t)

	err := s.importKey(t.Context(), name, opaque)
	mustBe(t, "Import of a key of an unknown type", err, signer.ErrUnsupported)
	if err := s.importKey(t.Context(), name, ed25519.PrivateKey(mixed)); err == nil {
		t.Error("Import stored a damaged key: its halves do not belong together")
	} else if signer.IsAbsent(err) {
		t.Errorf("Import of a damaged key: %v; the store is not to blame", err)
	}
	s.unchanged(t, before, "Import of a key that it refuses")
	_, err = s.open(t.Context(), name)
	mustBe(t, "Open of what Import refused", err, signer.ErrNotFound)
}
