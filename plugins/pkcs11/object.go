package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// A publicObject is a public key, or a certificate, in a token.
type publicObject struct {
	label, id string
	key       ssh.PublicKey
}

// attribute returns one attribute of an object, or nil.
func (t *token) attribute(object pkcs11.ObjectHandle, kind uint) []byte {
	got, err := t.GetAttributeValue(t.session, object, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil || len(got) == 0 {
		return nil
	}
	return got[0].Value
}

// maxObjects is how many objects of one class are looked at.
const maxObjects = 1000

// objects returns the objects of a class that u matches.
func (t *token) objects(class uint, u keyURI) ([]pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if u.object != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, u.object))
	}
	if u.id != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(u.id)))
	}
	if err := t.FindObjectsInit(t.session, template); err != nil {
		return nil, t.failed("looking for keys", err)
	}
	found, _, err := t.FindObjects(t.session, maxObjects)
	if final := t.FindObjectsFinal(t.session); err == nil {
		err = final
	}
	if err != nil {
		return nil, t.failed("looking for keys", err)
	}
	return found, nil
}

// publicObjects returns the public keys that u matches, and the certificates whose
// public key is not there. Tokens show both without a PIN.
func (t *token) publicObjects(u keyURI) ([]publicObject, error) {
	var all []publicObject
	seen := map[string]bool{}
	for _, class := range []uint{pkcs11.CKO_PUBLIC_KEY, pkcs11.CKO_CERTIFICATE} {
		handles, err := t.objects(class, u)
		if err != nil {
			return nil, err
		}
		for _, h := range handles {
			o := publicObject{label: trim(string(t.attribute(h, pkcs11.CKA_LABEL))), id: string(t.attribute(h, pkcs11.CKA_ID))}
			if o.key, err = t.publicKey(class, h); err != nil {
				continue // a key of a kind that cannot be used
			}
			if fingerprint := ssh.FingerprintSHA256(o.key); !seen[fingerprint+o.label] {
				seen[fingerprint+o.label] = true
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// only returns the one public key that u matches.
func (t *token) only(u keyURI) (publicObject, error) {
	found, err := t.publicObjects(u)
	switch {
	case err != nil:
		return publicObject{}, err
	case len(found) == 0:
		return publicObject{}, fmt.Errorf("%w: token %s has no public key or certificate that matches", signer.ErrNotFound, printable.Text(t.label))
	case len(found) > 1:
		err := fmt.Errorf("%d keys of token %s match", len(found), printable.Text(t.label))
		return publicObject{}, signer.WithHint(err, signer.Hint{Do: "add id= to the key: countersign key list shows the keys"})
	}
	return found[0], nil
}

// private returns the private key of o. The token must be logged in.
func (t *token) private(o publicObject) (pkcs11.ObjectHandle, error) {
	u := keyURI{object: o.label, id: o.id}
	if o.id != "" {
		u.object = "" // the label of a certificate may be another one
	}
	found, err := t.objects(pkcs11.CKO_PRIVATE_KEY, u)
	if err != nil {
		return 0, err
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("token %s has %d private keys for this public key, want 1", printable.Text(t.label), len(found))
	}
	return found[0], nil
}

func (t *token) publicKey(class uint, object pkcs11.ObjectHandle) (ssh.PublicKey, error) {
	if class == pkcs11.CKO_CERTIFICATE {
		cert, err := x509.ParseCertificate(t.attribute(object, pkcs11.CKA_VALUE))
		if err != nil {
			return nil, err
		}
		return ssh.NewPublicKey(cert.PublicKey)
	}
	point := t.attribute(object, pkcs11.CKA_EC_POINT)
	if point == nil {
		return parseRSA(t.attribute(object, pkcs11.CKA_MODULUS), t.attribute(object, pkcs11.CKA_PUBLIC_EXPONENT))
	}
	return parseEC(t.attribute(object, pkcs11.CKA_EC_PARAMS), point)
}

func parseRSA(modulus, exponent []byte) (ssh.PublicKey, error) {
	e := new(big.Int).SetBytes(exponent)
	if len(modulus) == 0 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
		return nil, fmt.Errorf("%w: the public key is not RSA, ECDSA or Ed25519", signer.ErrUnsupported)
	}
	return ssh.NewPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e.Int64())})
}

// A curve is an elliptic curve as CKA_EC_PARAMS names it: by its OID or, for Ed25519
// in some modules, by a PrintableString (PKCS #11 3.0, section 2.3.5).
type curve struct {
	params string
	size   int // of a public key, in bytes
	curve  elliptic.Curve
}

var curves = []curve{
	{"\x06\x03\x2b\x65\x70", ed25519.PublicKeySize, nil},
	{"\x13\x0cedwards25519", ed25519.PublicKeySize, nil},
	{"\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01", ed25519.PublicKeySize, nil},
	{"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 65, elliptic.P256()},
	{"\x06\x05\x2b\x81\x04\x00\x22", 97, elliptic.P384()},
	{"\x06\x05\x2b\x81\x04\x00\x23", 133, elliptic.P521()},
}

// parseEC reads CKA_EC_POINT, which is the point itself or an OCTET STRING with it.
func parseEC(params, point []byte) (ssh.PublicKey, error) {
	for _, c := range curves {
		if string(params) != c.params {
			continue
		}
		if len(point) != c.size {
			var inner []byte
			if rest, err := asn1.Unmarshal(point, &inner); err != nil || len(rest) > 0 || len(inner) != c.size {
				return nil, fmt.Errorf("the public key has %d bytes, want %d", len(point), c.size)
			}
			point = inner
		}
		if c.curve == nil {
			return ssh.NewPublicKey(ed25519.PublicKey(point))
		}
		key, err := ecdsa.ParseUncompressedPublicKey(c.curve, point)
		if err != nil {
			return nil, err
		}
		return ssh.NewPublicKey(key)
	}
	return nil, fmt.Errorf("%w: the key is on a curve other than Ed25519 and NIST's P-256, P-384 and P-521", signer.ErrUnsupported)
}
