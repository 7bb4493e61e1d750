package conformance

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

// store is a Store in use. The checks call the backend through its methods. They
// remember all results, because no result may show a key.
type store struct {
	Store
	names    int
	secrets  []form
	returned []any
	putFiles []string // written by Store.Put
	unusable []string // names of keys that were damaged or locked
}

func newStore(s Store) *store {
	if s.Name == nil {
		prefix := "signertest-" + rand.Text() + "-"
		s.Name = func(n int) string { return prefix + strconv.Itoa(n) }
	}
	return &store{Store: s, returned: []any{s.Backend}}
}

// as returns the backend as an A, and skips the check if the store lacks that
// ability.
func as[A any](t TB, s *store) A {
	t.Helper()
	b, ok := s.Backend.(A)
	if ok && s.Key != "" && changes[A]() {
		t.Skip("this check makes or deletes keys")
	}
	if !ok || !has[A](s) {
		t.Skipf("the store lacks this ability (%s)", nameOf[A]())
	}
	return b
}

// has reports whether the store has the ability A, such as signer.Generator.
func has[A any](s *store) bool {
	_, ok := s.Backend.(A)
	return ok && !slices.Contains(s.Lacks, nameOf[A]()) && (s.Key == "" || !changes[A]())
}

func nameOf[A any]() string { return reflect.TypeFor[A]().Name() }

// changes reports whether the ability A changes the content of the store.
func changes[A any]() bool {
	switch nameOf[A]() {
	case "Generator", "Importer", "Deleter":
		return true
	}
	return false
}

// name returns a new name. A key of that name is deleted when t ends.
func (s *store) name(t TB) string {
	name := s.newName()
	if s.canDelete() {
		t.Cleanup(func() {
			err := s.Backend.(signer.Deleter).Delete(context.WithoutCancel(t.Context()), name)
			if err != nil && !errors.Is(err, signer.ErrNotFound) && !slices.Contains(s.unusable, name) {
				t.Errorf("cleaning up: Delete(%q): %v", name, err)
			}
		})
	}
	return name
}

func (s *store) newName() string {
	s.names++
	return s.Name(s.names - 1)
}

func (s *store) canDelete() bool { return has[signer.Deleter](s) }

// stored returns the name and the public half of an Ed25519 key that is in the
// store: a new one, or Store.Key.
func (s *store) stored(t TB) (name string, pub ssh.PublicKey) {
	t.Helper()
	switch {
	case s.Key != "":
		k, err := s.open(t.Context(), s.Key)
		if err != nil {
			t.Fatalf("Open(%q): %v", s.Key, err)
		}
		return s.Key, k.PublicKey()
	case s.canPut() || !has[signer.Generator](s):
		key := NewKey(t)
		return s.put(t, key), publicKey(t, key)
	}
	name = s.name(t)
	k, err := s.generate(t.Context(), name)
	if err != nil {
		t.Fatalf("Generate(%q): %v", name, err)
	}
	return name, k.PublicKey()
}

// canPut reports whether the suite can store a key that it made.
func (s *store) canPut() bool { return s.Key == "" && (s.Put != nil || has[signer.Importer](s)) }

// put stores key under a new name. It skips the check if the store takes no key
// that was made elsewhere.
func (s *store) put(t TB, key crypto.Signer) string {
	t.Helper()
	if !s.canPut() {
		if s.Key == "" && !has[signer.Generator](s) {
			t.Fatal("the backend is no Importer and no Generator: Store.Put is needed")
		}
		t.Skip("the suite cannot choose the key that this store holds")
	}
	name := s.name(t)
	s.guard(key)
	if s.Put != nil {
		before := s.files()
		s.Put(t, name, key)
		for _, path := range s.files() {
			if !slices.Contains(before, path) {
				s.putFiles = append(s.putFiles, path)
			}
		}
		return name
	}
	err := s.importKey(t.Context(), name, key)
	if errors.Is(err, signer.ErrUnsupported) && !isEd25519(key) {
		t.Skipf("the store holds no such key: %v", err)
	}
	if err != nil {
		t.Fatalf("Import(%q): %v", name, err)
	}
	return name
}

// guard makes key one of those that nothing returned may reveal.
func (s *store) guard(key crypto.Signer) { s.secrets = append(s.secrets, secretForms(key)...) }

func (s *store) remember(values ...any) {
	for _, v := range values {
		if v != nil {
			s.returned = append(s.returned, v)
		}
	}
}

// orNothing returns an error also for a result that is neither.
func orNothing(result any, err error) error {
	if result == nil && err == nil {
		return errors.New("neither a key nor an error")
	}
	return err
}

func (s *store) open(ctx context.Context, name string) (signer.Signer, error) {
	k, err := s.Backend.Open(ctx, name)
	s.remember(k, err)
	return k, orNothing(k, err)
}

// openRef opens name as users do, through a Mux.
func (s *store) openRef(ctx context.Context, name string) (signer.Signer, error) {
	k, err := signer.Mux{"store": s.Backend}.Open(ctx, "store:"+name)
	s.remember(k, err)
	return k, orNothing(k, err)
}

func (s *store) generate(ctx context.Context, name string) (signer.Signer, error) {
	k, err := s.Backend.(signer.Generator).Generate(ctx, name)
	s.remember(k, err)
	return k, orNothing(k, err)
}

func (s *store) importKey(ctx context.Context, name string, key crypto.Signer) error {
	err := s.Backend.(signer.Importer).Import(ctx, name, key)
	s.remember(err)
	return err
}

// export also learns the secret of a key that the store generated.
func (s *store) export(ctx context.Context, name string) (crypto.Signer, error) {
	key, err := s.Backend.(signer.Exporter).Export(ctx, name)
	s.remember(err)
	s.guard(key)
	return key, orNothing(key, err)
}

func (s *store) list(ctx context.Context) ([]signer.Info, error) {
	infos, err := s.Backend.(signer.Lister).List(ctx)
	s.remember(infos, err)
	return infos, err
}

// probe returns the version of a key, or the error of Open if the backend says that only
// Open can tell.
func (s *store) probe(ctx context.Context, name string) (version string, err error) {
	version, err = s.Backend.(signer.Prober).Probe(ctx, name)
	s.remember(version, err)
	if errors.Is(err, signer.ErrUnsupported) {
		_, err = s.open(ctx, name)
		return "", err
	}
	return version, err
}

func (s *store) delete(ctx context.Context, name string) error {
	err := s.Backend.(signer.Deleter).Delete(ctx, name)
	s.remember(err)
	return err
}

// snapshot describes the content of the store: its files, and Store.Snapshot or
// the list of the backend.
func (s *store) snapshot(t TB) []string {
	t.Helper()
	files := s.files()
	if s.Snapshot != nil {
		return append(files, s.Snapshot(t)...)
	}
	if !has[signer.Lister](s) {
		return files
	}
	infos, err := s.list(t.Context())
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	lines := files
	for _, i := range infos {
		lines = append(lines, fmt.Sprintf("%q %s %q", i.Name, fingerprint(i.PublicKey), i.Comment))
	}
	return lines
}

func (s *store) unchanged(t TB, before []string, after string) {
	t.Helper()
	if now := s.snapshot(t); !slices.Equal(now, before) {
		t.Errorf("%s changed the store: it held\n%q\nand holds\n%q", after, before, now)
	}
}

// checkSecrets looks for the keys in everything the backend returned.
func (s *store) checkSecrets(t TB) {
	t.Helper()
	for _, v := range s.returned {
		if found := find(v, s.secrets); found != "" {
			t.Error(found)
		}
	}
}
