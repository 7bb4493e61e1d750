package vaulttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A key is a key of the transit engine, with all its versions.
type key struct {
	kind            string
	derived         bool
	deletionAllowed bool
	oldestForUse    int             // min_encryption_version; 0: all
	versions        []crypto.Signer // nil for keys that only encrypt; a seed for derived keys
	made            time.Time
}

// Put stores private as version 1 of a key, as the server's import does, and allows
// to delete the key.
func (s *Server) Put(mount, name string, private crypto.Signer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engines[mount][name] = &key{kind: kindOf(private), versions: []crypto.Signer{private}, deletionAllowed: true, made: s.now()}
}

func kindOf(private crypto.Signer) string {
	switch pub := private.Public().(type) {
	case *ecdsa.PublicKey:
		return "ecdsa-p" + strconv.Itoa(pub.Params().BitSize)
	case *rsa.PublicKey:
		return "rsa-" + strconv.Itoa(pub.Size()*8)
	}
	return "ed25519"
}

// newPrivate returns nil for a kind that only encrypts.
func newPrivate(kind string) (crypto.Signer, error) {
	curves := map[string]elliptic.Curve{"ecdsa-p256": elliptic.P256(), "ecdsa-p384": elliptic.P384(), "ecdsa-p521": elliptic.P521()}
	bits := map[string]int{"rsa-2048": 2048, "rsa-3072": 3072, "rsa-4096": 4096}
	switch {
	case kind == "ed25519":
		_, private, err := ed25519.GenerateKey(nil)
		return private, err
	case curves[kind] != nil:
		return ecdsa.GenerateKey(curves[kind], rand.Reader)
	case bits[kind] != 0:
		return rsa.GenerateKey(rand.Reader, bits[kind])
	}
	return nil, nil
}

func (s *Server) transit(keys map[string]*key, path string, r *request) reply {
	parts := strings.Split(path, "/")
	switch {
	case path == "keys" && r.method == "LIST":
		return listReply(keys)
	case len(parts) == 2 && parts[0] == "keys":
		return s.keyCall(keys, parts[1], r)
	case len(parts) == 3 && parts[0] == "keys":
		return s.changeKey(keys[parts[1]], parts[2], r)
	case len(parts) == 2 && parts[0] == "sign":
		return sign(keys[parts[1]], r)
	}
	return noRoute(r)
}

func listReply(keys map[string]*key) reply {
	if len(keys) == 0 {
		return absent
	}
	return data(map[string]any{"keys": slices.Sorted(maps.Keys(keys))})
}

func (s *Server) keyCall(keys map[string]*key, name string, r *request) reply {
	k := keys[name]
	switch {
	case r.method == http.MethodPost && k == nil:
		kind := r.text("type")
		if kind == "" {
			kind = "aes256-gcm96"
		}
		private, err := newPrivate(kind)
		if err != nil {
			return mistake(err.Error())
		}
		k = &key{kind: kind, derived: r.is("derived"), versions: []crypto.Signer{private}, made: s.now()}
		keys[name] = k
		return data(k.describe(name, nil))
	case r.method == http.MethodPost: // success, although nothing was made
		var warnings []string
		if s.WarnsOfExisting {
			warnings = []string{"key " + name + " already existed"}
		}
		return reply{http.StatusOK, map[string]any{"data": k.describe(name, nil), "warnings": warnings}}
	case k == nil && r.method == http.MethodDelete:
		return fail(http.StatusBadRequest, "error deleting policy "+name+": could not delete key; not found")
	case k == nil:
		return absent
	case r.method == http.MethodDelete && !k.deletionAllowed:
		return fail(http.StatusBadRequest, "error deleting policy "+name+": deletion is not allowed for this key")
	case r.method == http.MethodDelete:
		delete(keys, name)
		return done
	}
	context, _ := base64.StdEncoding.DecodeString(r.query["context"])
	return data(k.describe(name, context))
}

func (k *key) isAsymmetric() bool { return k.versions[0] != nil }

func (k *key) describe(name string, context []byte) map[string]any {
	versions := map[string]any{}
	for i := range k.versions {
		versions[strconv.Itoa(i+1)] = k.describeVersion(i, context)
	}
	return map[string]any{
		"name": name, "type": k.kind, "derived": k.derived, "deletion_allowed": k.deletionAllowed,
		"latest_version": len(k.versions), "min_encryption_version": k.oldestForUse, "min_decryption_version": 1,
		"supports_signing": k.isAsymmetric(), "exportable": false, "keys": versions,
	}
}

func (k *key) describeVersion(i int, context []byte) any {
	if !k.isAsymmetric() {
		return k.made.Unix()
	}
	public := ""
	switch pub := k.private(i, context).Public().(type) {
	case ed25519.PublicKey:
		if !k.derived || len(context) > 0 {
			public = base64.StdEncoding.EncodeToString(pub)
		}
	default:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return nil
		}
		public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	return map[string]any{"name": k.kind, "public_key": public, "creation_time": k.made.Format(time.RFC3339Nano)}
}

// private returns a version of the key. A derived key has another one for each
// context.
func (k *key) private(i int, context []byte) crypto.Signer {
	if !k.derived {
		return k.versions[i]
	}
	seed := sha256.Sum256(append(k.versions[i].(ed25519.PrivateKey).Seed(), context...))
	return ed25519.NewKeyFromSeed(seed[:])
}

// changeKey answers the requests of an operator about a key.
func (s *Server) changeKey(k *key, action string, r *request) reply {
	if k == nil {
		return fail(http.StatusBadRequest, "no existing key named "+r.path+" could be found")
	}
	switch action {
	case "rotate":
		private, err := newPrivate(k.kind)
		if err != nil {
			return mistake(err.Error())
		}
		k.versions = append(k.versions, private)
	case "config":
		if _, ok := r.body["deletion_allowed"]; ok {
			k.deletionAllowed = r.is("deletion_allowed")
		}
		if n := r.number("min_encryption_version"); n > 0 {
			k.oldestForUse = n
		}
	}
	return done
}

func sign(k *key, r *request) reply {
	hash, known := map[string]crypto.Hash{
		"": crypto.SHA256, "sha2-256": crypto.SHA256, "sha2-384": crypto.SHA384, "sha2-512": crypto.SHA512,
	}[r.text("hash_algorithm")]
	switch {
	case !known:
		return fail(http.StatusBadRequest, fmt.Sprintf("invalid hash algorithm %q", r.text("hash_algorithm")))
	case k == nil:
		return fail(http.StatusBadRequest, "signing key not found")
	case !k.isAsymmetric():
		return fail(http.StatusBadRequest, "key type "+k.kind+" does not support signing")
	}
	version := r.number("key_version")
	if version == 0 {
		version = len(k.versions)
	}
	switch {
	case version < 0:
		return mistake("requested version for signing is negative")
	case version > len(k.versions):
		return mistake("requested version for signing is higher than the latest key version")
	case version < k.oldestForUse:
		return mistake("requested version for signing is less than the minimum encryption key version")
	case k.derived && r.text("context") == "":
		return mistake("error deriving key: missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key")
	}
	input, err := base64.StdEncoding.DecodeString(r.text("input"))
	if err != nil {
		return fail(http.StatusBadRequest, "unable to decode input as base64: "+err.Error())
	}
	context, _ := base64.StdEncoding.DecodeString(r.text("context"))
	value, err := signature(k.private(version-1, context), input, hash, r)
	if err != nil {
		return mistake(err.Error())
	}
	return data(map[string]any{"signature": fmt.Sprintf("vault:v%d:%s", version, value), "key_version": version})
}

// signature returns a signature as text. The default for RSA is PSS.
func signature(private crypto.Signer, input []byte, hash crypto.Hash, r *request) (string, error) {
	if key, ok := private.(ed25519.PrivateKey); ok { // "prehashed" is ignored
		return base64.StdEncoding.EncodeToString(ed25519.Sign(key, input)), nil
	}
	digest := input
	if !r.is("prehashed") {
		h := hash.New()
		h.Write(input)
		digest = h.Sum(nil)
	}
	var options crypto.SignerOpts = hash
	if _, ok := private.(*rsa.PrivateKey); ok && r.text("signature_algorithm") != "pkcs1v15" {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: hash}
	}
	raw, err := private.Sign(rand.Reader, digest, options)
	if err != nil || r.text("marshaling_algorithm") != "jws" {
		return base64.StdEncoding.EncodeToString(raw), err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(raw, &rs); err != nil {
		return "", err
	}
	size := (private.Public().(*ecdsa.PublicKey).Params().BitSize + 7) / 8
	joined := append(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))...)
	return base64.RawURLEncoding.EncodeToString(joined), nil
}
