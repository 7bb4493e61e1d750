package challenge_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge"
)

type sample struct {
	Name  string
	Class challenge.Purpose
	Hex   string
}

// crossProtocol reads what other protocols sign.
func crossProtocol(t testing.TB) []sample {
	t.Helper()
	var file struct{ Samples []sample }
	readJSON(t, "testdata/cross_protocol.json", &file)
	if len(file.Samples) != 25 {
		t.Fatalf("%d samples, want 25", len(file.Samples))
	}
	return file.Samples
}

// ollamaSigned reads what Ollama's own code signed.
func ollamaSigned(t testing.TB) []string {
	t.Helper()
	var file struct {
		Vectors []struct {
			Signed string `json:"signed_string"`
		}
	}
	readJSON(t, "testdata/ollama.json", &file)
	var all []string
	for _, v := range file.Vectors {
		if v.Signed != "" {
			all = append(all, v.Signed)
		}
	}
	if len(all) != 34 {
		t.Fatalf("%d signed texts, want 34", len(all))
	}
	return all
}

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func TestPurposeOfSamples(t *testing.T) {
	for _, s := range crossProtocol(t) {
		msg, err := hex.DecodeString(s.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := challenge.PurposeOf(msg); got != s.Class {
			t.Errorf("%s: %s, want %s", s.Name, got, s.Class)
		}
		ollama := s.Class == challenge.PurposeRegistry || s.Class == challenge.PurposeAPI
		if err := challenge.Guard(msg, false); (err == nil) != ollama {
			t.Errorf("%s: Guard: %v", s.Name, err)
		}
		if err := challenge.Guard(msg, true); (err == nil) != (ollama || s.Class == challenge.PurposeRaw) {
			t.Errorf("%s: Guard that allows raw text: %v", s.Name, err)
		}
	}
}

func TestPurposeOfOllama(t *testing.T) {
	for _, signed := range ollamaSigned(t) {
		want := challenge.PurposeAPI
		if strings.HasPrefix(signed, "GET,http") {
			want = challenge.PurposeRegistry
		}
		if got := challenge.PurposeOf([]byte(signed)); got != want {
			t.Errorf("%s: %s, want %s", signed, got, want)
		}
	}
}

const (
	noBody = ",ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
	nonce  = "nonce=AAECAwQFBgcICQoLDA0ODw"
)

// wire joins strings of the SSH wire format and single bytes.
func wire(parts ...any) string {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		}
	}
	return string(b)
}

func jws(header string) string { return base64.RawURLEncoding.EncodeToString([]byte(header)) + ".cGF5" }

func TestPurposeOf(t *testing.T) {
	spaces := strings.Repeat(" ", 64)
	hundred := strings.Repeat("x", 100)
	session := strings.Repeat("s", 32)

	for _, tt := range []struct {
		name string
		msg  string
		want challenge.Purpose
	}{
		{"nothing", "", challenge.PurposeRaw},

		// Ollama's forms, and what only resembles them.
		{"registry", "GET,https://r.example/token?" + nonce + "&ts=1" + noBody, challenge.PurposeRegistry},
		{"registry: unsorted", "GET,https://r.example/token?ts=1&" + nonce + noBody, challenge.PurposeRegistry},
		{"registry: userinfo, port, fragment", "GET,http://u:p@127.0.0.1:5000?ts=1&" + nonce + "#f" + noBody, challenge.PurposeRegistry},
		{"registry: comma in the query", "GET,https://r.example/?scope=a:pull,push&ts=1&" + nonce + noBody, challenge.PurposeRegistry},
		{"registry: Ollama's token in itself", "GET,https://ollama.com?ts=1700000000" + noBody, challenge.PurposeRegistry},
		{"registry: no nonce", "GET,https://r.example?ts=1700000000" + noBody, challenge.PurposeRaw},
		{"registry: no nonce, and more", "GET,https://ollama.com?a=b&ts=1700000000" + noBody, challenge.PurposeRaw},
		{"registry: two nonces", "GET,https://r.example/?" + nonce + "&" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: short nonce", "GET,https://r.example/?nonce=AAEC&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: malformed nonce", "GET,https://r.example/?nonce=AAECAwQFBgcICQoLDA0OD!&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: new line in the nonce", "GET,https://r.example/?" + nonce + "%0A&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: new lines for the last of the nonce", "GET,https://r.example/?nonce=AAECAwQFBgcICQoLDA0O%0A%0A&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: no method", "https://r.example/?" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: long nonce", "GET,https://r.example/?" + nonce + "AAAA&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: no ts", "GET,https://r.example/?" + nonce + noBody, challenge.PurposeRaw},
		{"registry: two ts", "GET,https://r.example/?" + nonce + "&ts=1&ts=2" + noBody, challenge.PurposeRaw},
		{"registry: ts is no number", "GET,https://r.example/?" + nonce + "&ts=-1" + noBody, challenge.PurposeRaw},
		{"registry: no hash", "GET,https://r.example/?" + nonce + "&ts=1", challenge.PurposeRaw},
		{"registry: hash of a body", "GET,https://r.example/?" + nonce + "&ts=1,YWJj", challenge.PurposeRaw},
		{"registry: POST", "POST,https://r.example/?" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: other scheme", "GET,ftp://r.example/?" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: scheme in upper case", "GET,HTTPS://r.example/?" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: no host", "GET,https:///token?" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: only a port", "GET,https://:443/token?" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: relative", "GET,/token?" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: space", "GET,https://r.example/?a= &" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: not ASCII", "GET,https://r.example/?a=\u00e9&" + nonce + "&ts=1" + noBody, challenge.PurposeRaw},
		{"registry: new line at the end", "GET,https://r.example/?" + nonce + "&ts=1" + noBody + "\n", challenge.PurposeRaw},
		{"API", "PATCH,/api/x?a=b,c&ts=1", challenge.PurposeAPI},
		{"API: as long as a digest", "POST,/api/chat?ts=1700000000", challenge.PurposeAPI},
		{"API: no ts", "GET,/api/tags?st=1", challenge.PurposeRaw},
		{"API: ts in the path", "GET,/api/ts=1", challenge.PurposeRaw},
		{"API: ts is no number", "GET,/api/tags?ts=today", challenge.PurposeRaw},
		{"API: two ts", "GET,/api/tags?ts=1&ts=1", challenge.PurposeRaw},
		{"API: ts in disguise", "GET,/api/tags?%74s=10", challenge.PurposeRaw},
		{"API: no leading slash", "GET,api/tags?ts=1", challenge.PurposeRaw},
		{"API: method in lower case", "get,/api/tags?ts=1", challenge.PurposeRaw},
		{"API: unknown method", "STEAL,/api/tags?ts=10", challenge.PurposeRaw},
		{"API: fragment", "GET,/api/tags#a?ts=100", challenge.PurposeRaw},
		{"API: space", "GET,/api/my tags?ts=100", challenge.PurposeRaw},
		{"API: not ASCII", "GET,/api/caf\u00e9?ts=100", challenge.PurposeRaw},
		{"API: new line", "GET,/api/tags?ts=1\n", challenge.PurposeRaw},
		{"API: new line in the method", "GET\n,/api/tags?ts=1", challenge.PurposeRaw},
		{"API: escape sequence", "GET,/api/\x1b[2J?ts=1", challenge.PurposeRaw},
		{"API: malformed escape", "GET,/api/%zz?ts=1", challenge.PurposeRaw},
		{"API: semicolon in the query", "GET,/api/tags?a;ts=10", challenge.PurposeRaw},

		// SSH.
		{"SSHSIG, cut short", "SSHSIG", challenge.PurposeSSHSig},
		{"almost SSHSIG", "SSHSIh" + hundred, challenge.PurposeRaw},
		{"almost a KRL", "SSHKRL\n\x01" + hundred, challenge.PurposeRaw},
		{"login by host", wire(session, 50, "git", "ssh-connection", "hostbased", "ssh-ed25519", "key"), challenge.PurposeUserAuth},
		{"login with an empty session id", wire("", 50, "git", "ssh-connection", "publickey", 1, "ssh-ed25519", "key"), challenge.PurposeUserAuth},
		{"another message", wire(session, 51, "git", "ssh-connection", "publickey"), challenge.PurposeRaw},
		{"no message", wire(session + "x"), challenge.PurposeRaw},
		{"login, cut short", wire(session, 50, "git", "ssh-connection"), challenge.PurposeRaw},
		{"login, cut in a string", strings.TrimSuffix(wire(session, 50, "git", "ssh-connection", "publickey"), "y"), challenge.PurposeRaw},
		{"RSA certificate", wire("rsa-sha2-512-cert-v01@openssh.com", "nonce", "e", "n"), challenge.PurposeCert},
		{"certificate, cut short", wire("ssh-ed25519-cert-v01@openssh.com"), challenge.PurposeRaw},
		{"public key", wire("ssh-ed25519", hundred), challenge.PurposeRaw},

		// TLS.
		{"TLS server", spaces + "TLS 1.3, server CertificateVerify\x00" + hundred, challenge.PurposeTLS13},
		{"TLS delegated credential", spaces + "TLS, server delegated credentials\x00" + hundred, challenge.PurposeTLS13},
		{"TLS with 63 spaces", spaces[1:] + "TLS 1.3, server CertificateVerify\x00" + hundred, challenge.PurposeRaw},
		{"text after spaces", spaces + "TLS 1.3, server CertificateVerify", challenge.PurposeRaw},

		// ASN.1.
		{"empty SEQUENCE", "\x30\x00", challenge.PurposeASN1},
		{"SET", "\x31\x03abc", challenge.PurposeASN1},
		{"long form", "\x30\x81\x64" + hundred, challenge.PurposeASN1},
		{"longer than DER has it", "\x30\x89\x00\x00\x00\x00\x00\x00\x00\x00\x64" + hundred, challenge.PurposeASN1},
		{"indefinite length", "\x30\x80" + hundred + "\x00\x00", challenge.PurposeASN1},
		{"indefinite length without end", "\x30\x80" + hundred, challenge.PurposeRaw},
		{"one byte too many", "\x30\x03abcd", challenge.PurposeRaw},
		{"one byte too few", "\x30\x03ab", challenge.PurposeRaw},
		{"length cut short", "\x30\x84\x00", challenge.PurposeRaw},
		{"length of 127 bytes", "\x30\xff", challenge.PurposeRaw},
		{"length beyond 64 bits", "\x30\x8a\x01\x00\x00\x00\x00\x00\x00\x00\x00\x64" + hundred, challenge.PurposeRaw},
		{"OCTET STRING", "\x04\x03abc", challenge.PurposeRaw},
		{"only a tag", "\x30", challenge.PurposeRaw},

		// HTTP.
		{"RFC 9421 among others", "\"@method\": GET\n\"@signature-params\": (\"@method\")", challenge.PurposeRFC9421},
		{"RFC 9421, not last", "\"@signature-params\": ()\nmore lines", challenge.PurposeRaw},
		{"cavage: host alone", "host: x", challenge.PurposeCavage},
		{"cavage: no telling field", "todo: buy milk", challenge.PurposeRaw},
		{"cavage: upper case", "Date: today", challenge.PurposeRaw},
		{"cavage: upper case beside", "date: today\nHost: x", challenge.PurposeRaw},
		{"cavage: not only fields", "date: today\nnothing", challenge.PurposeRaw},

		// Envelopes.
		{"JWS with padding and spaces", base64.URLEncoding.EncodeToString([]byte(`{ "alg": "EdDSA"}`)) + ".x", challenge.PurposeJWS},
		{"JWS with a bare payload", jws(`{"alg":"EdDSA","b64":false}`) + ". \x00", challenge.PurposeJWS},
		{"no alg", jws(`{"typ":"JWT"}`), challenge.PurposeRaw},
		{"no JSON", jws(`alg`), challenge.PurposeRaw},
		{"no dot", strings.TrimSuffix(jws(`{"alg":"Ed25519"}`), ".cGF5"), challenge.PurposeRaw},
		{"DSSE", "DSSEv1 0  0 ", challenge.PurposeDSSE},
		{"almost DSSE", "DSSEv2 0  0 ", challenge.PurposeRaw},
		{"saltpack attached", "saltpack attached signature\x00" + hundred, challenge.PurposeSaltpack},
		{"saltpack signcryption", "saltpack encrypted signature\x00" + hundred, challenge.PurposeSaltpack},
		{"about saltpack", "saltpack detached signature", challenge.PurposeRaw},

		// Digests.
		{"SHA-1", hundred[:20], challenge.PurposeDigest},
		{"SHA-224", hundred[:28], challenge.PurposeDigest},
		{"SHA-384", hundred[:48], challenge.PurposeDigest},
		{"hex of SHA-1", strings.Repeat("aB01", 10), challenge.PurposeDigest},
		{"hex of SHA-512", strings.Repeat("aB01", 32), challenge.PurposeDigest},
		{"hex of something else", strings.Repeat("aB01", 11), challenge.PurposeRaw},
		{"no hex", strings.Repeat("aB0x", 10), challenge.PurposeRaw},
		{"33 bytes", hundred[:33], challenge.PurposeRaw},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := challenge.PurposeOf([]byte(tt.msg)); got != tt.want {
				t.Errorf("PurposeOf(%q) = %s, want %s", tt.msg, got, tt.want)
			}
		})
	}
}

func TestGuardSaysWhy(t *testing.T) {
	login := wire("secret session id", 50, "secret user", "ssh-connection", "publickey", 1)
	for msg, want := range map[string]string{
		login:          "refused to sign: the signature would be good for an SSH login (ssh.userauth): use a program made for that",
		"secret words": "refused to sign: not a request to a registry or to Ollama: allow raw text if you know what the signature is good for",
	} {
		err := challenge.Guard([]byte(msg), false)
		if err == nil || err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

func FuzzPurposeOf(f *testing.F) {
	for _, s := range crossProtocol(f) {
		msg, err := hex.DecodeString(s.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg)
	}
	for _, signed := range ollamaSigned(f) {
		f.Add([]byte(signed))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		purpose := challenge.PurposeOf(msg)
		ollama := purpose == challenge.PurposeRegistry || purpose == challenge.PurposeAPI
		if ollama {
			checkOllamaForm(t, string(msg))
		}
		if err := challenge.Guard(msg, true); (err == nil) != (ollama || purpose == challenge.PurposeRaw) {
			t.Errorf("%s: Guard that allows raw text: %v", purpose, err)
		}
		err := challenge.Guard(msg, false)
		if (err == nil) != ollama {
			t.Errorf("%s: Guard: %v", purpose, err)
		}
		if err != nil {
			checkText(t, err.Error())
		}
	})
}

// checkOllamaForm checks what sets Ollama's texts apart from all other protocols.
func checkOllamaForm(t *testing.T, msg string) {
	t.Helper()
	method, _, ok := strings.Cut(msg, ",")
	if !ok || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		t.Errorf("%q does not start with a method", msg)
	}
	if strings.ContainsFunc(msg, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		t.Errorf("%q is not all graphic ASCII", msg)
	}
	if !strings.Contains(msg, "?ts=") && !strings.Contains(msg, "&ts=") {
		t.Errorf("%q has no ts", msg)
	}
}
