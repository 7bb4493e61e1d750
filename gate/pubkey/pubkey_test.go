package pubkey

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"
)

func sshKey(t *testing.T, key any) ssh.PublicKey {
	t.Helper()
	pub, err := ssh.NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// A named key has a type and nothing else.
type named struct{ kind string }

func (n named) Type() string                        { return n.kind }
func (n named) Marshal() []byte                     { return []byte(n.kind) }
func (n named) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

func TestRule04_KeyStrength(t *testing.T) {
	ecdsaOn := func(curve elliptic.Curve) ssh.PublicKey {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return sshKey(t, key.Public())
	}
	good, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaOf := func(bits int) *rsa.PublicKey {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
	}
	for name, tt := range map[string]struct {
		key ssh.PublicKey
		ok  bool
	}{
		"P-256":     {ecdsaOn(elliptic.P256()), true},
		"P-384":     {ecdsaOn(elliptic.P384()), true},
		"P-521":     {ecdsaOn(elliptic.P521()), true},
		"sk":        {named{"sk-ssh-ed25519@openssh.com"}, false},
		"no key":    {named{ssh.KeyAlgoED25519}, false},
		"no RSA":    {named{ssh.KeyAlgoRSA}, false},
		"Ed25519":   {sshKey(t, good), true},
		"RSA 2047":  {sshKey(t, rsaOf(2047)), false},
		"RSA 2048":  {sshKey(t, rsaOf(2048)), true},
		"RSA 4096":  {sshKey(t, rsaOf(4096)), true},
		"RSA 4097":  {sshKey(t, rsaOf(4097)), false},
		"RSA 16384": {sshKey(t, rsaOf(16384)), false},
	} {
		if err := Check(tt.key); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrWeak) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The list of points is compared with all points that eight additions lead back to the
// neutral element, found with the curve's own equation.
func TestRule04_LowOrderPoints(t *testing.T) {
	found := torsion(t)
	if len(found) != 8 {
		t.Fatalf("%d points of low order, want 8", len(found))
	}
	for _, p := range found {
		key := p.encode()
		if !isLowOrder(key) {
			t.Errorf("%x is accepted", key)
		}
		if err := Check(sshKey(t, key)); !errors.Is(err, ErrWeak) {
			t.Errorf("%x: %v", key, err)
		}
	}
	for y := range int64(19) { // each has a second encoding, y + p
		key := (&point{big.NewInt(0), new(big.Int).Add(prime, big.NewInt(y))}).encode()
		if !isLowOrder(key) {
			t.Errorf("%x is not reduced and accepted", key)
		}
	}
	below := (&point{big.NewInt(0), new(big.Int).Sub(prime, big.NewInt(2))}).encode()
	if isLowOrder(below) || isLowOrder(slices.Concat(make([]byte, 30), []byte{1, 0x7f})) {
		t.Error("an ordinary point is refused")
	}
	if !isLowOrder(nil) {
		t.Error("an empty key is accepted")
	}
}

// The curve -x^2 + y^2 = 1 + d x^2 y^2 of RFC 8032, section 5.1.
var (
	prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d     = mul(big.NewInt(-121665), inverse(big.NewInt(121666)))
	order = new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 252), number("27742317777372353535851937790883648493"))
)

type point struct{ x, y *big.Int }

func number(s string) *big.Int    { n, _ := new(big.Int).SetString(s, 10); return n }
func mod(a *big.Int) *big.Int     { return new(big.Int).Mod(a, prime) }
func mul(a, b *big.Int) *big.Int  { return mod(new(big.Int).Mul(a, b)) }
func inverse(a *big.Int) *big.Int { return new(big.Int).ModInverse(a, prime) }

func (p *point) add(q *point) *point {
	one := big.NewInt(1)
	product := mul(d, mul(mul(p.x, q.x), mul(p.y, q.y)))
	x := mul(new(big.Int).Add(mul(p.x, q.y), mul(p.y, q.x)), inverse(mod(new(big.Int).Add(one, product))))
	y := mul(new(big.Int).Add(mul(p.y, q.y), mul(p.x, q.x)), inverse(mod(new(big.Int).Sub(one, product))))
	return &point{x, y}
}

func (p *point) times(n *big.Int) *point {
	sum := &point{big.NewInt(0), big.NewInt(1)}
	for i := n.BitLen() - 1; i >= 0; i-- {
		if sum = sum.add(sum); n.Bit(i) == 1 {
			sum = sum.add(p)
		}
	}
	return sum
}

func (p *point) encode() ed25519.PublicKey {
	b := p.y.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	b[31] |= byte(p.x.Bit(0)) << 7
	return b
}

// torsion returns the points whose order divides 8: multiples of order*P for any P.
func torsion(t *testing.T) []*point {
	var best []*point
	for y := int64(2); y < 200 && len(best) < 8; y++ {
		yy := mul(big.NewInt(y), big.NewInt(y))
		xx := mul(new(big.Int).Sub(yy, big.NewInt(1)), inverse(mod(new(big.Int).Add(big.NewInt(1), mul(d, yy)))))
		x := new(big.Int).ModSqrt(xx, prime)
		if x == nil {
			continue
		}
		p := (&point{x, big.NewInt(y)}).times(order)
		var all []*point
		for q := p; ; q = q.add(p) {
			all = append(all, q)
			if q.x.Sign() == 0 && q.y.Cmp(big.NewInt(1)) == 0 {
				break
			}
			if len(all) > 8 {
				t.Fatal("a point of order above 8")
			}
		}
		if len(all) > len(best) {
			best = all
		}
	}
	return best
}
