package signer_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A store is a whole backend: keys in memory, by name.
type store struct{ keys sync.Map }

func (s *store) Open(_ context.Context, name string) (signer.Signer, error) {
	key, ok := s.keys.Load(name)
	if !ok {
		return nil, signer.ErrNotFound
	}
	return key.(signer.Signer), nil
}

// Generate makes store a signer.Generator as well.
func (s *store) Generate(_ context.Context, name string) (signer.Signer, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	key, err := signer.New(private)
	if err != nil {
		return nil, err
	}
	if _, taken := s.keys.LoadOrStore(name, key); taken {
		return nil, signer.ErrExists
	}
	return key, nil
}

// readKey opens a key file.
func readKey(ctx context.Context, path string) (signer.Signer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return signer.Parse(ctx, data, nil)
}

func ExampleNew() {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		log.Fatal(err)
	}

	message := []byte("halt, who goes there?")
	signature, err := key.Sign(context.Background(), message)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signature.Format)
	fmt.Println(key.PublicKey().Verify(message, signature))
	// Output:
	// ssh-ed25519
	// <nil>
}

func ExampleParse() {
	data, err := os.ReadFile("testdata/id_ed25519")
	if err != nil {
		log.Fatal(err)
	}
	key, err := signer.Parse(context.Background(), data, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ssh.FingerprintSHA256(key.PublicKey()))
	// Output:
	// SHA256:y4qYkw/dBceGgISObHBJRcspQ67+rAfUEjfW3A2hwgk
}

// The passphrase is asked for when it is needed, and only once.
func ExampleParse_passphrase() {
	data, err := os.ReadFile("testdata/id_ed25519_locked")
	if err != nil {
		log.Fatal(err)
	}
	ask := func(_ context.Context, prompt string) ([]byte, error) {
		fmt.Println(prompt)
		return []byte("correct horse"), nil
	}

	ctx := context.Background()
	key, err := signer.Parse(ctx, data, ask)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("opened", ssh.FingerprintSHA256(key.PublicKey()))

	for _, message := range []string{"one", "two"} {
		if _, err := key.Sign(ctx, []byte(message)); err != nil {
			log.Fatal(err)
		}
		fmt.Println("signed", message)
	}
	// Output:
	// opened SHA256:ux03FMXFSpHhammwhtTaddcQibTBgH/QiRn9lIZbxj0
	// passphrase for key SHA256:ux03FMXFSpHhammwhtTaddcQibTBgH/QiRn9lIZbxj0
	// signed one
	// signed two
}

func ExampleMux() {
	ctx := context.Background()
	work := new(store)
	if _, err := work.Generate(ctx, "alice"); err != nil {
		log.Fatal(err)
	}
	keys := signer.Mux{"work": work, "home": new(store)}

	key, err := keys.Open(ctx, "work:alice")
	fmt.Println(key, err)
	_, err = keys.Open(ctx, "home:alice")
	fmt.Println(err)
	// Output:
	// work:alice <nil>
	// open home:alice: key not found
}

// A backend that only opens keys can be a function.
func ExampleOpenFunc() {
	examples := signer.OpenFunc(func(ctx context.Context, name string) (signer.Signer, error) {
		return readKey(ctx, "testdata/"+name)
	})
	key, err := signer.Mux{"example": examples}.Open(context.Background(), "example:id_ed25519")
	fmt.Println(key, err)
	// Output:
	// example:id_ed25519 <nil>
}

// What a backend can do beside opening keys, a type assertion tells.
func ExampleMux_Resolve() {
	keys := signer.Mux{"work": new(store)}

	backend, name, err := keys.Resolve("work:alice")
	if err != nil {
		log.Fatal(err)
	}
	generator, ok := backend.(signer.Generator)
	if !ok {
		log.Fatal("this store cannot make keys")
	}
	key, err := generator.Generate(context.Background(), name)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("made", name, key.PublicKey().Type())

	_, ok = backend.(signer.Deleter)
	fmt.Println("can delete:", ok)
	// Output:
	// made alice ssh-ed25519
	// can delete: false
}

func ExampleFirst() {
	ctx := context.Background()
	home := new(store)
	if _, err := home.Generate(ctx, "alice"); err != nil {
		log.Fatal(err)
	}
	keys := signer.Mux{"work": new(store), "home": home}

	key, err := signer.First(ctx, keys, "work:alice", "home:alice")
	fmt.Println(key, err)
	_, err = signer.First(ctx, keys, "work:bob", "home:bob")
	fmt.Println(err)
	// Output:
	// home:alice <nil>
	// key not found: tried work:bob, home:bob
}

// A long-lived program opens its key when it first needs it, and opens it once.
func ExampleKeeper() {
	ctx := context.Background()
	keys := &signer.Keeper{Backend: new(store)}

	_, err := keys.Open(ctx, "alice")
	fmt.Println(err)

	if _, err := keys.Generate(ctx, "alice"); err != nil {
		log.Fatal(err)
	}
	first, err := keys.Open(ctx, "alice") // a failure is not kept
	if err != nil {
		log.Fatal(err)
	}
	second, err := keys.Open(ctx, "alice")
	fmt.Println(first == second, err)
	// Output:
	// key not found
	// true <nil>
}

// A key that another service holds: signatures come from there and are
// verified here.
func ExampleFunc() {
	_, remote, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	public, err := ssh.NewPublicKey(remote.Public())
	if err != nil {
		log.Fatal(err)
	}

	key := signer.Func(public, func(_ context.Context, message []byte) (*ssh.Signature, error) {
		// Here goes the call to the service.
		return &ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: ed25519.Sign(remote, message)}, nil
	})
	signature, err := key.Sign(context.Background(), []byte("hello"))
	fmt.Println(signature.Format, err)
	// Output:
	// ssh-ed25519 <nil>
}

// A format may require RSA with SHA-256.
func ExampleSignAlgorithm() {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	key, err := signer.New(private)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signer.Algorithms(key))
	signature, err := signer.SignAlgorithm(context.Background(), key, []byte("hello"), ssh.KeyAlgoRSASHA256)
	fmt.Println(signature.Format, err)
	// Output:
	// [rsa-sha2-512 rsa-sha2-256]
	// rsa-sha2-256 <nil>
}

// A key service that signs with each algorithm of an RSA key.
func ExampleAlgorithmFunc() {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	remote, err := ssh.NewSignerFromKey(private)
	if err != nil {
		log.Fatal(err)
	}

	key := signer.AlgorithmFunc(remote.PublicKey(), func(_ context.Context, message []byte, algorithm string) (*ssh.Signature, error) {
		// Here goes the call to the service.
		return remote.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, message, algorithm)
	})
	signature, err := key.SignAlgorithm(context.Background(), []byte("hello"), ssh.KeyAlgoRSASHA256)
	fmt.Println(signature.Format, err)
	// Output:
	// rsa-sha2-256 <nil>
}

// A backend checks a name before it uses or prints it.
func ExampleCheckName() {
	fmt.Println(signer.CheckName("ollama", 100))
	fmt.Println(signer.CheckName("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", 100))
	// Output:
	// <nil>
	// malformed key name: it looks like a key itself; give the name of the variable, file or item that holds the key
}

// An Exporter returns the private key itself.
func ExampleParseRawPrivateKey() {
	data, err := os.ReadFile("testdata/id_ed25519")
	if err != nil {
		log.Fatal(err)
	}
	key, err := signer.ParseRawPrivateKey(context.Background(), data, nil)
	fmt.Printf("%T %v\n", key, err)
	// Output:
	// ed25519.PrivateKey <nil>
}

// AuthorizedKey returns the line that a server's administrator needs.
func ExampleAuthorizedKey() {
	key, err := readKey(context.Background(), "testdata/id_ed25519")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signer.AuthorizedKey(key.PublicKey()))
	// Output:
	// ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINcEdFxSJucgFODGWZsQusMMLD3EJuk0hk4cUYB0/6gC
}

// FromSSH takes a key from package ssh, as an agent or a library gives it.
func ExampleFromSSH() {
	data, err := os.ReadFile("testdata/id_ed25519")
	if err != nil {
		log.Fatal(err)
	}
	sshKey, err := ssh.ParsePrivateKey(data)
	if err != nil {
		log.Fatal(err)
	}
	key := signer.FromSSH(sshKey)
	signature, err := key.Sign(context.Background(), []byte("hello"))
	fmt.Println(signature.Format, err)
	// Output:
	// ssh-ed25519 <nil>
}

// ToSSH gives a key to package ssh: here, to log in with it.
func ExampleToSSH() {
	ctx := context.Background()
	key, err := readKey(ctx, "testdata/id_ed25519")
	if err != nil {
		log.Fatal(err)
	}
	login := signer.ToSSH(ctx, key)
	config := &ssh.ClientConfig{
		User: "git",
		Auth: []ssh.AuthMethod{ssh.PublicKeys(login)},
	}
	fmt.Println(config.User, ssh.FingerprintSHA256(login.PublicKey()))
	// Output:
	// git SHA256:y4qYkw/dBceGgISObHBJRcspQ67+rAfUEjfW3A2hwgk
}

// An error tells the problem. Its hint tells the remedy.
func ExampleWithHint() {
	err := fmt.Errorf("%w: the keychain \"login\"", signer.ErrLocked)
	err = signer.WithHint(err, signer.Hint{Do: "unlock it", See: "keychain#locked"})

	fmt.Println(err)
	if hint, ok := signer.HintOf(err); ok {
		fmt.Printf("%s (countersign help %s)\n", hint.Do, hint.See)
	}
	// Output:
	// key is locked: the keychain "login"
	// unlock it (countersign help keychain#locked)
}

// A program that looks for a key in several places goes on only if the key is
// not there. A locked key ends the search.
func ExampleIsAbsent() {
	fmt.Println(signer.IsAbsent(fmt.Errorf("%w: HOME is not set", signer.ErrUnavailable)))
	fmt.Println(signer.IsAbsent(signer.ErrLocked))
	// Output:
	// true
	// false
}

// The error of First tells which references were passed over.
func ExampleSearchError() {
	keys := signer.Mux{"work": new(store), "home": new(store)}
	_, err := signer.First(context.Background(), keys, "work:bob", "home:bob")
	fmt.Println(err)
	if search, ok := errors.AsType[*signer.SearchError](err); ok {
		for _, passed := range search.Passed {
			fmt.Println("passed over:", passed.Err)
		}
	}
	// Output:
	// key not found: tried work:bob, home:bob
	// passed over: open work:bob: key not found
	// passed over: open home:bob: key not found
}

// An error tells people and programs the reference and the cause.
func ExampleError() {
	ctx := context.Background()
	key, err := readKey(ctx, "testdata/id_ed25519_locked") // nobody can give the passphrase
	if err != nil {
		log.Fatal(err)
	}
	vault := new(store)
	vault.keys.Store("alice", key)

	alice, err := signer.Mux{"vault": vault}.Open(ctx, "vault:alice")
	if err != nil {
		log.Fatal(err)
	}
	_, err = alice.Sign(ctx, []byte("hello"))
	fmt.Println(err)
	fmt.Println("locked:", errors.Is(err, signer.ErrLocked))
	if failed, ok := errors.AsType[*signer.Error](err); ok {
		fmt.Println("could not", failed.Op, "with", failed.Ref)
	}
	// Output:
	// sign vault:alice: key is locked: it has a passphrase, and nobody was asked for it
	// locked: true
	// could not sign with vault:alice
}

// A program checks the references in its own configuration before it prints one.
func ExampleCheckReference() {
	fmt.Println(signer.CheckReference("keyring:ollama", 100))
	fmt.Println(signer.CheckReference("ollama", 100))
	// Output:
	// <nil>
	// malformed key name: a reference is scheme:name, such as env:OLLAMA_KEY or file:~/.ollama/id_ed25519
}

// SameKey compares public keys, here that of a file with a line of authorized_keys.
func ExampleSameKey() {
	key, err := readKey(context.Background(), "testdata/id_ed25519")
	if err != nil {
		log.Fatal(err)
	}
	line := signer.AuthorizedKey(key.PublicKey()) + " alice@example.com"
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signer.SameKey(key.PublicKey(), public))
	// Output: true
}

// A Signer is one key for life. It becomes stale when its key is replaced.
func ExampleIsStale() {
	ctx := context.Background()
	keys := &signer.Keeper{Backend: &signertest.Memory{}}
	if _, err := keys.Generate(ctx, "alice"); err != nil {
		log.Fatal(err)
	}
	key, err := keys.Open(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signer.IsStale(key))
	if err := keys.Delete(ctx, "alice"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(signer.IsStale(key))
	// Output:
	// false
	// true
}

// A key that stays in its store signs a request for a certificate.
func ExampleToCrypto() {
	ctx := context.Background()
	key, err := readKey(ctx, "testdata/id_ed25519") // or a key of an agent
	if err != nil {
		log.Fatal(err)
	}
	k, err := signer.ToCrypto(ctx, key)
	if err != nil {
		log.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "ann"},
	}, k)
	if err != nil {
		log.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(request.SignatureAlgorithm, request.CheckSignature())
	// Output:
	// Ed25519 <nil>
}

// FromCrypto takes a key from a library that has a crypto.Signer, such as that of a
// cloud's key service.
func ExampleFromCrypto() {
	var k crypto.Signer = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	key, err := signer.FromCrypto(k)
	if err != nil {
		log.Fatal(err)
	}
	signature, err := key.Sign(context.Background(), []byte("hello"))
	fmt.Println(signature.Format, err)
	// Output:
	// ssh-ed25519 <nil>
}

// An app shows that a store waits for a person.
func ExampleWithPromptFunc() {
	keys := signer.Mux{"store": signer.OpenFunc(func(ctx context.Context, name string) (signer.Signer, error) {
		end := signer.BeginPrompt(ctx, "example-store", name) // a backend calls it
		err := fmt.Errorf("%w: the window was closed", signer.ErrDenied)
		end(err)
		return nil, err
	})}
	ctx := signer.WithPromptFunc(context.Background(), func(e signer.PromptEvent) {
		fmt.Printf("%s: the prompt for %s: %s\n", e.Store, e.Key, e.State)
	})
	_, err := keys.Open(ctx, "store:key")
	fmt.Println(err)
	// Output:
	// example-store: the prompt for store:key: opened
	// example-store: the prompt for store:key: refused
	// open store:key: access to key denied: the window was closed
}
