package download

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"path"
	"strings"
)

// A Digest is the hash of content, such as "sha256:44136fa3...", in the form of the
// OCI image specification. The zero value means that none is known.
type Digest struct {
	algorithm, hex string
}

// hashes has the algorithms that the OCI image specification registers and Go
// implements.
var hashes = map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// ParseDigest parses s. Errors: s has another form, another length or an unknown
// algorithm.
func ParseDigest(s string) (Digest, error) {
	algorithm, value, ok := strings.Cut(s, ":")
	newHash := hashes[algorithm]
	if !ok || newHash == nil {
		return Digest{}, errors.New("not a digest of sha256, sha384 or sha512")
	}
	if sum, err := hex.DecodeString(value); err != nil || len(sum) != newHash().Size() || strings.ToLower(value) != value {
		return Digest{}, fmt.Errorf("not a digest: %s has %d hexadecimal digits in lower case", algorithm, 2*newHash().Size())
	}
	return Digest{algorithm, value}, nil
}

// DigestOfURL returns the digest at the end of u's path, as in
// /v2/library/llama3/blobs/sha256:44136fa3..., or the zero Digest.
func DigestOfURL(u *url.URL) Digest {
	d, err := ParseDigest(path.Base(u.Path))
	if err != nil {
		return Digest{} // the path of another resource
	}
	return d
}

func (d Digest) String() string { return d.algorithm + ":" + d.hex }

// A verifier reads content and compares it with a digest.
type verifier struct {
	want Digest
	hash hash.Hash // nil if no digest is known
}

func (d Digest) verifier() *verifier {
	v := &verifier{want: d}
	if newHash := hashes[d.algorithm]; newHash != nil {
		v.hash = newHash()
	}
	return v
}

func (v *verifier) Write(p []byte) (int, error) {
	if v.hash != nil {
		v.hash.Write(p) // never returns an error
	}
	return len(p), nil
}

// check returns ErrDigest if the content has another digest.
func (v *verifier) check() error {
	if v.hash == nil {
		return nil
	}
	if got := hex.EncodeToString(v.hash.Sum(nil)); got != v.want.hex {
		return fmt.Errorf("%w: it has %s:%s instead of %s", ErrDigest, v.want.algorithm, got, v.want)
	}
	return nil
}
