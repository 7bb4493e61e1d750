package vault_test

import (
	"crypto"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"testing"
)

// importKey imports a key into the real server: PKCS#8, wrapped with a key of AES,
// which is wrapped with the server's RSA key (Vault's "bring your own key").
func (s *server) importKey(t *testing.T, name string, private crypto.Signer) {
	t.Helper()
	block, _ := pem.Decode([]byte(s.admin("GET", "transit/wrapping_key", nil)["public_key"].(string)))
	wrapping, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	ephemeral := make([]byte, 32)
	_, _ = rand.Read(ephemeral)
	first, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, wrapping.(*rsa.PublicKey), ephemeral, nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s.admin("POST", "transit/keys/"+name+"/import", map[string]any{
		"type": kindOf(private), "hash_function": "SHA256",
		"ciphertext": base64.StdEncoding.EncodeToString(append(first, wrapAES(t, ephemeral, der)...)),
	})
}

// wrapAES is AES key wrap with padding (RFC 5649).
func wrapAES(t *testing.T, key, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	register := binary.BigEndian.AppendUint32([]byte{0xa6, 0x59, 0x59, 0xa6}, uint32(len(plain)))
	padded := append([]byte(nil), plain...)
	for len(padded)%8 != 0 {
		padded = append(padded, 0)
	}
	n := len(padded) / 8
	for j := range 6 {
		for i := range n {
			part := padded[i*8 : i*8+8]
			in := append(append([]byte(nil), register...), part...)
			block.Encrypt(in, in)
			register = in[:8]
			binary.BigEndian.PutUint64(register, binary.BigEndian.Uint64(register)^uint64(n*j+i+1))
			copy(part, in[8:])
		}
	}
	return append(append([]byte(nil), register...), padded...)
}
