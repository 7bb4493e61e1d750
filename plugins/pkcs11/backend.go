package main

import (
	"context"
	"crypto"
	"crypto/rand"
	_ "crypto/sha256" // for crypto.SHA256.New
	_ "crypto/sha512" // for crypto.SHA384.New and crypto.SHA512.New
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// A backend opens keys in tokens. It serves one call.
type backend struct {
	module string   // the path of the module for URIs without module-path; may be ""
	lock   *os.File // is locked until the program ends
}

var _ interface {
	signer.Backend
	signer.Generator
	signer.Lister
	signer.Deleter
} = (*backend)(nil)

// token opens the token of a URI. No call of PKCS #11 takes a context: countersign kills
// this program when its context ends.
func (b *backend) token(ctx context.Context, u keyURI, writes bool) (*token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	module, err := b.load(u.modulePath, writes)
	if err != nil {
		return nil, err
	}
	return openToken(module, u, writes)
}

// load loads the module of a URI. Modules such as SoftHSM fail if another process
// changes their files, and PKCS #11 lets two keys have one label, so programs of one
// user wait for each other. A program that only reads goes on without a lock where no
// folder can be written.
func (b *backend) load(path string, writes bool) (*pkcs11.Ctx, error) {
	path, err := findModule(path, b.module)
	if err != nil {
		return nil, err
	}
	if err := b.wait(); err != nil && writes {
		return nil, err
	}
	return loadModule(path)
}

// Open implements [signer.Backend]. It needs no PIN.
func (b *backend) Open(ctx context.Context, name string) (signer.Signer, error) {
	u, err := parseURI(name)
	if err != nil {
		return nil, err
	}
	t, err := b.token(ctx, u, false)
	if err != nil {
		return nil, err
	}
	o, err := t.only(u)
	if err != nil {
		return nil, err
	}
	return signer.AlgorithmFunc(o.key, func(ctx context.Context, msg []byte, algorithm string) (*ssh.Signature, error) {
		if err := t.login(ctx, u); err != nil {
			return nil, err
		}
		object, err := t.private(o)
		if err != nil {
			return nil, err
		}
		blob, err := t.sign(ctx, u, object, msg, algorithm)
		if err != nil {
			return nil, err
		}
		return &ssh.Signature{Format: algorithm, Blob: blob}, nil
	}), nil
}

// ckmEDDSA and ckmEdwardsKeyPairGen are of PKCS #11 3.0, which package pkcs11 does not
// know.
const (
	ckmEDDSA             = 0x1057
	ckmEdwardsKeyPairGen = 0x1055
)

// digestInfo is the beginning of the DER value that PKCS #1 v1.5 signs (RFC 8017,
// section 9.2, note 1). CKM_RSA_PKCS is the mechanism that all tokens have.
var digestInfo = map[string]string{
	ssh.KeyAlgoRSASHA256: "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
	ssh.KeyAlgoRSASHA512: "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
}

var hashes = map[string]crypto.Hash{
	ssh.KeyAlgoRSASHA256: crypto.SHA256, ssh.KeyAlgoRSASHA512: crypto.SHA512,
	ssh.KeyAlgoECDSA256: crypto.SHA256, ssh.KeyAlgoECDSA384: crypto.SHA384, ssh.KeyAlgoECDSA521: crypto.SHA512,
}

// sign returns the blob of an SSH signature.
func (t *token) sign(ctx context.Context, u keyURI, object pkcs11.ObjectHandle, msg []byte, algorithm string) ([]byte, error) {
	mechanism, input := uint(ckmEDDSA), msg
	if hash, ok := hashes[algorithm]; ok {
		h := hash.New()
		h.Write(msg)
		mechanism, input = pkcs11.CKM_ECDSA, h.Sum(nil)
	}
	if prefix, ok := digestInfo[algorithm]; ok {
		mechanism, input = pkcs11.CKM_RSA_PKCS, append([]byte(prefix), input...)
	}
	if err := t.SignInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, object); err != nil {
		return nil, t.failed("signing", err)
	}
	if always := t.attribute(object, pkcs11.CKA_ALWAYS_AUTHENTICATE); len(always) == 1 && always[0] == 1 {
		pin, err := t.pin(ctx, u)
		if err != nil {
			return nil, err
		}
		if err := t.Login(t.session, pkcs11.CKU_CONTEXT_SPECIFIC, pin); err != nil {
			return nil, t.loginError(err)
		}
	}
	signature, err := t.Sign(t.session, input)
	if err != nil {
		return nil, t.failed("signing", err)
	}
	if mechanism != pkcs11.CKM_ECDSA {
		return signature, nil
	}
	half := len(signature) / 2 // PKCS #11 has r and s in fixed lengths
	return ssh.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])}), nil
}

// Generate implements [signer.Generator]. The private key can never leave the token.
func (b *backend) Generate(ctx context.Context, name string) (signer.Signer, error) {
	u, err := parseURI(name)
	if err != nil {
		return nil, err
	}
	if u.object == "" {
		return nil, malformed("a new key needs object=LABEL")
	}
	t, err := b.token(ctx, u, true)
	if err != nil {
		return nil, err
	}
	if _, err := t.only(u); !errors.Is(err, signer.ErrNotFound) {
		return nil, fmt.Errorf("%w: token %s", signer.ErrExists, printable.Text(t.label))
	}
	if err := t.login(ctx, u); err != nil {
		return nil, err
	}
	if err := t.generate(u); err != nil {
		return nil, err
	}
	return b.Open(ctx, name)
}

func (t *token) generate(u keyURI) error {
	id := []byte(u.id)
	if len(id) == 0 {
		id = make([]byte, 8)
		rand.Read(id) // never fails
	}
	params, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 101, 112}) // RFC 8410
	if err != nil {
		return err
	}
	common := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, u.object),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	public := append(slices.Clone(common),
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
		pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
	)
	private := append(slices.Clone(common),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
	)
	mechanism := []*pkcs11.Mechanism{pkcs11.NewMechanism(ckmEdwardsKeyPairGen, nil)}
	if _, _, err := t.GenerateKeyPair(t.session, mechanism, public, private); err != nil {
		err = t.failed("making an Ed25519 key", err)
		return signer.WithHint(err, signer.Hint{Do: "if the token has no Ed25519, make a P-256 key: pkcs11-tool --login --keypairgen --key-type EC:prime256v1 --label LABEL"})
	}
	return nil
}

// wait waits until no other program of this user holds the lock.
func (b *backend) wait() error {
	if b.lock != nil {
		return nil
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		var err error
		if dir, err = os.UserCacheDir(); err != nil {
			return err
		}
	}
	dir = filepath.Join(dir, "countersign-pkcs11")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return printable.Error(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return printable.Error(err)
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err == nil {
		b.lock = f
	}
	return err
}

// List implements [signer.Lister]. It needs no PIN.
func (b *backend) List(ctx context.Context) ([]signer.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	module, err := b.load("", false)
	if err != nil {
		return nil, err
	}
	found, err := tokens(module, keyURI{})
	if err != nil {
		return nil, err
	}
	var infos []signer.Info
	for _, t := range found {
		if err := t.open(false); err != nil {
			return nil, err
		}
		objects, err := t.publicObjects(keyURI{})
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			infos = append(infos, signer.Info{Name: t.nameOf(o, objects), PublicKey: o.key, Comment: printable.Text(t.label)})
		}
	}
	slices.SortFunc(infos, func(x, y signer.Info) int { return strings.Compare(x.Name, y.Name) })
	return infos, nil
}

// nameOf returns the shortest URI of an object among all objects of t.
func (t *token) nameOf(o publicObject, all []publicObject) string {
	u := keyURI{token: t.label, object: o.label}
	same := 0
	for _, other := range all {
		if other.label == o.label {
			same++
		}
	}
	if same > 1 || o.label == "" {
		u.id = o.id
	}
	return u.path()
}

// Delete implements [signer.Deleter].
func (b *backend) Delete(ctx context.Context, name string) error {
	u, err := parseURI(name)
	if err != nil {
		return err
	}
	t, err := b.token(ctx, u, true)
	if err != nil {
		return err
	}
	o, err := t.only(u)
	if err != nil {
		return err
	}
	if err := t.login(ctx, u); err != nil {
		return err
	}
	for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY} {
		objects, err := t.objects(class, keyURI{object: o.label, id: o.id})
		if err != nil {
			return err
		}
		for _, object := range objects {
			if err := t.DestroyObject(t.session, object); err != nil && !is(err, pkcs11.CKR_OBJECT_HANDLE_INVALID) {
				return t.failed("deleting", err)
			}
		}
	}
	return nil
}
