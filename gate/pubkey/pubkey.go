// Package pubkey decides which public keys the gate accepts, before it checks a
// signature with one.
package pubkey

import (
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// The lengths of RSA keys in bits. A longer key makes each check of a signature slow:
// 16,384 bits take 19 ms.
const (
	minRSA = 2048
	maxRSA = 4096
)

// ErrWeak: the gate accepts no signature of this key.
var ErrWeak = errors.New("key refused")

// An ID is the identity of a key: its canonical wire form. Two encodings of one key
// have the same ID.
type ID string

// IDOf returns the identity of key.
func IDOf(key ssh.PublicKey) ID { return ID(key.Marshal()) }

// Check returns an error that wraps ErrWeak unless key is an Ed25519 key that is a
// point of high order, an ECDSA key, or an RSA key of 2048 to 4096 bits.
func Check(key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return nil
	case ssh.KeyAlgoED25519:
		if k, ok := cryptoKey(key).(ed25519.PublicKey); !ok || isLowOrder(k) {
			return fmt.Errorf("%w: it is a point of low order, which verifies signatures that nobody made", ErrWeak)
		}
		return nil
	case ssh.KeyAlgoRSA:
		k, ok := cryptoKey(key).(*rsa.PublicKey)
		if !ok {
			return fmt.Errorf("%w: it is no RSA key", ErrWeak)
		}
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return fmt.Errorf("%w: an RSA key of %d bits, and %d to %d are accepted", ErrWeak, bits, minRSA, maxRSA)
		}
		return nil
	}
	return fmt.Errorf("%w: a key of type %s, and Ed25519, ECDSA and RSA are accepted", ErrWeak, key.Type())
}

func cryptoKey(key ssh.PublicKey) any {
	if k, ok := key.(ssh.CryptoPublicKey); ok {
		return k.CryptoPublicKey()
	}
	return nil
}

// lowOrder has the y coordinates of the points whose order divides 8, in the encoding
// of RFC 8032, section 5.1.2, without the sign of x.
var lowOrder = [][32]byte{
	{},  // order 4
	{1}, // order 1
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	}, // order 8
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	}, // order 8
	{
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	}, // order 2
}

// isLowOrder reports whether key is a point of low order, or has a y coordinate that
// is not reduced: such an encoding is a second name for a point.
func isLowOrder(key ed25519.PublicKey) bool {
	if len(key) != ed25519.PublicKeySize {
		return true
	}
	y := [32]byte(key)
	y[31] &= 0x7f // the sign of x
	return slices.Contains(lowOrder, y) || !isReduced(y)
}

// isReduced reports whether y, in little endian, is below the field's prime 2^255-19.
func isReduced(y [32]byte) bool {
	if y[31] != 0x7f || y[0] < 0xed {
		return true
	}
	return slices.ContainsFunc(y[1:31], func(b byte) bool { return b != 0xff })
}
