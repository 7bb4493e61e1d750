package guard

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
)

// A protocol is a protocol that a key may sign for.
type protocol struct {
	purpose Purpose
	use     string // of a signature
	match   func(msg []byte) bool

	// If the texts name an audience: audience returns the audience of a text that
	// matches, or "", and parseAudience checks an audience that a person wrote.
	audience      func(msg []byte) string
	parseAudience func(text string) (string, error)
}

// protocols are in the order in which they are tried: a request to Ollama may have
// the length of a digest.
var protocols = []protocol{
	{Registry, "a registry's token", isTokenRequest, registryAudience, parseOrigin},
	{purpose: API, use: "an API request", match: isAPIRequest},
	{Helper, "a registry's tokens, until it expires", isHelperSecret, helperAudience, parseOrigin},
	{SSHSig, "a file or commit, as ssh-keygen -Y signs it", startsWith("SSHSIG"), namespaceOf, parseNamespace}, // PROTOCOL.sshsig, "Signed Data"
	{purpose: KRL, use: "an SSH key revocation list", match: startsWith("SSHKRL\n\x00")},                       // PROTOCOL.krl
	{purpose: UserAuth, use: "an SSH login", match: isUserAuth},                                                // RFC 4252, section 7
	{purpose: Cert, use: "an SSH certificate", match: isCert},                                                  // PROTOCOL.certkeys
	{purpose: TLS13, use: "a TLS 1.3 handshake", match: isTLS13},                                               // RFC 8446, section 4.4.3
	{purpose: ASN1, use: "a certificate or another ASN.1 structure", match: isASN1},                            // RFC 5280, section 4.1; RFC 5652, section 5.4
	{purpose: RFC9421, use: "an HTTP message", match: isRFC9421},                                               // RFC 9421, section 2.5
	{purpose: Cavage, use: "an HTTP request", match: isCavage},                                                 // draft-cavage-http-signatures-12, section 2.3
	{purpose: JWS, use: "a JSON Web Signature", match: isJWS},                                                  // RFC 7515, section 5.1
	{purpose: DSSE, use: "a DSSE envelope", match: startsWith("DSSEv1 ")},                                      // protocol.md of DSSE
	{purpose: Saltpack, use: "a saltpack message", match: isSaltpack},                                          // version 2 of saltpack signing and signcryption
	{purpose: Digest, use: "every text that has these bytes as its digest", match: isDigest},                   // RFC 4253, section 8; RFC 9580, section 5.2.4
}

func protocolOf(msg []byte) protocol {
	for _, p := range protocols {
		if p.match(msg) {
			return p
		}
	}
	return protocol{purpose: Raw}
}

func startsWith(prefix string) func([]byte) bool {
	return func(msg []byte) bool { return bytes.HasPrefix(msg, []byte(prefix)) }
}

// wireString reads a string of the SSH wire format (RFC 4251, section 5).
func wireString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
		return nil, nil, false
	}
	end := 4 + int(binary.BigEndian.Uint32(b))
	return b[4:end], b[end:], true
}

// isUserAuth: session id, SSH_MSG_USERAUTH_REQUEST, user, service, method, ...
// Methods that sign are "publickey", with and without "-hostbound-v00@openssh.com",
// and "hostbased".
func isUserAuth(msg []byte) bool {
	const userAuthRequest = 50
	_, rest, ok := wireString(msg)
	if !ok || len(rest) == 0 || rest[0] != userAuthRequest {
		return false
	}
	rest = rest[1:]
	for range 3 {
		if _, rest, ok = wireString(rest); !ok {
			return false
		}
	}
	return true
}

// isCert: "ssh-ed25519-cert-v01@openssh.com" or another type, nonce, ...
func isCert(msg []byte) bool {
	kind, rest, ok := wireString(msg)
	_, _, hasNonce := wireString(rest)
	return ok && hasNonce && bytes.Contains(kind, []byte("-cert"))
}

// isTLS13: 64 spaces, a context such as "TLS 1.3, client CertificateVerify" (RFC
// 9261 and RFC 9345 have others), a zero byte, a hash.
func isTLS13(msg []byte) bool {
	context, ok := bytes.CutPrefix(msg, bytes.Repeat([]byte(" "), 64))
	return ok && bytes.IndexByte(context, 0) >= 0
}

// isASN1: a SEQUENCE, or a SET as CMS signs it, that is the whole of msg. Not all
// verifiers insist on DER, so the length may have any form that BER allows.
func isASN1(msg []byte) bool {
	const sequence, set, indefinite = 0x30, 0x31, 0x80
	if len(msg) < 2 || msg[0] != sequence && msg[0] != set {
		return false
	}
	first, content := msg[1], msg[2:]
	switch {
	case first < indefinite:
		return int(first) == len(content)
	case first == indefinite:
		return bytes.HasSuffix(content, []byte{0, 0})
	}
	n := int(first - indefinite)
	if n > len(content) {
		return false
	}
	length := new(big.Int).SetBytes(content[:n])
	return length.Cmp(big.NewInt(int64(len(content)-n))) == 0
}

// isRFC9421: the last line gives the covered components.
func isRFC9421(msg []byte) bool {
	last := msg[bytes.LastIndexByte(msg, '\n')+1:]
	return bytes.HasPrefix(last, []byte(`"@signature-params": `))
}

// isCavage reports whether all lines are header fields in lower case, and one of them is
// a field that verifiers ask for.
func isCavage(msg []byte) bool {
	telling := []string{"(request-target)", "(created)", "(expires)", "date", "x-date", "host", "digest"}
	found := false
	for line := range strings.Lines(string(msg)) {
		name, _, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 'A' && r <= 'Z' }) {
			return false
		}
		found = found || slices.Contains(telling, name)
	}
	return found
}

// isJWS: base64url of a header with an "alg", a dot, the payload, which RFC 7797
// lets be anything.
func isJWS(msg []byte) bool {
	encoded, _, ok := bytes.Cut(msg, []byte("."))
	if !ok {
		return false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(string(encoded), "="))
	var header map[string]json.RawMessage
	return err == nil && json.Unmarshal(decoded, &header) == nil && header["alg"] != nil
}

// isSaltpack: "saltpack detached signature" or another mode, a zero byte, a hash.
func isSaltpack(msg []byte) bool {
	mode, _, ok := bytes.Cut(msg, []byte("\x00"))
	return ok && bytes.HasPrefix(mode, []byte("saltpack ")) && bytes.HasSuffix(mode, []byte(" signature"))
}

// isDigest: as long as a digest of SHA-1 or SHA-2, or as its hex. Text of such a
// length is no exception: one in 2^46 of all SHA-256 digests is printable, and
// that many can be tried.
func isDigest(msg []byte) bool {
	sizes := []int{20, 28, 32, 48, 64}
	decoded, err := hex.DecodeString(string(msg))
	return slices.Contains(sizes, len(msg)) || err == nil && slices.Contains(sizes, len(decoded))
}
