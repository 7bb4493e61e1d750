package sshsig

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/sshkeygen"
	"github.com/countersign/countersign/signer"
)

const message = "message\n"

// kinds are options of ssh-keygen.
var kinds = map[string][]string{
	"ed25519": nil,
	"rsa":     {"-t", "rsa", "-b", "2048"},
	"p256":    {"-t", "ecdsa", "-b", "256"},
	"p384":    {"-t", "ecdsa", "-b", "384"},
	"p521":    {"-t", "ecdsa", "-b", "521"},
}

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keygen runs ssh-keygen with the message on stdin.
func keygen(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ssh-keygen", args...)
	cmd.Stdin = strings.NewReader(message)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func readKey(t testing.TB, path string) signer.Signer {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.Parse(t.Context(), text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signMessage(t testing.TB, key signer.Signer, hash string) []byte {
	t.Helper()
	sig, err := Sign(t.Context(), key, "file", hash, strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// Signatures are good on both sides, and a wrong message, namespace or signer is
// refused on both.
func TestInterchange(t *testing.T) {
	for kind, args := range kinds {
		for _, hash := range Hashes {
			t.Run(kind+" "+hash, func(t *testing.T) {
				path := sshkeygen.New(t, args...)
				key := readKey(t, path)
				dir := t.TempDir()
				allowed := write(t, filepath.Join(dir, "allowed"), "alice@example.com "+signer.AuthorizedKey(key.PublicKey())+"\n")
				ours := write(t, filepath.Join(dir, "ours"), string(signMessage(t, key, hash)))
				for _, args := range [][]string{
					{"-Y", "verify", "-f", allowed, "-I", "alice@example.com", "-n", "file", "-s", ours},
					{"-Y", "check-novalidate", "-n", "file", "-s", ours},
					{"-Y", "find-principals", "-f", allowed, "-s", ours},
				} {
					if out, err := keygen(t, args...); err != nil {
						t.Errorf("ssh-keygen %s: %v: %s", args[1], err, out)
					}
				}

				file := write(t, filepath.Join(dir, "file"), message)
				if out, err := keygen(t, "-Y", "sign", "-f", path, "-n", "file", "-O", "hashalg="+hash, file); err != nil {
					t.Fatalf("ssh-keygen -Y sign: %v: %s", err, out)
				}
				theirs, err := os.ReadFile(file + ".sig")
				if err != nil {
					t.Fatal(err)
				}
				sig, err := Parse(theirs)
				if err != nil {
					t.Fatal(err)
				}
				if err := sig.Verify(strings.NewReader(message), "file"); err != nil {
					t.Error(err)
				}
				if sig.Verify(strings.NewReader(message+"x"), "file") == nil || sig.Verify(strings.NewReader(message), "git") == nil {
					t.Error("a wrong message or namespace passes")
				}
				if err := sig.Verify(strings.NewReader(message), "git"); !strings.Contains(err.Error(), `the namespace "file", not "git"`) {
					t.Errorf("a wrong namespace: %v", err)
				}
				if !signer.SameKey(sig.PublicKey(), key.PublicKey()) {
					t.Error("the signature names another key")
				}
			})
		}
	}
}

// What is around the armor, and damage in it, is refused, also where ssh-keygen does not.
func TestParseRefuses(t *testing.T) {
	sig := string(signMessage(t, readKey(t, sshkeygen.New(t)), "sha512"))
	if _, err := Parse([]byte(sig)); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse([]byte(sig + "\n\n")); err != nil {
		t.Error("empty lines at the end:", err)
	}
	path := filepath.Join(t.TempDir(), "sig")
	for name, text := range map[string]string{
		"text before":    "junk\n" + sig,
		"space before":   "\n" + sig,
		"CRLF":           strings.ReplaceAll(sig, "\n", "\r\n"),
		"no end":         strings.Split(sig, "-----END")[0],
		"another kind":   strings.ReplaceAll(sig, "SSH SIGNATURE", "PGP SIGNATURE"),
		"a header":       strings.Replace(sig, "\n", "\nProc-Type: 4,ENCRYPTED\n\n", 1),
		"cut":            sig[:60] + sig[90:],
		"bad base64":     strings.Replace(sig, "U1NI", "!!!!", 1),
		"nothing":        "",
		"another format": header + "AAAA" + footer + "\n",
	} {
		if s, err := Parse([]byte(text)); err == nil && s.Verify(strings.NewReader(message), "file") == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := keygen(t, "-Y", "check-novalidate", "-n", "file", "-s", write(t, path, text)); err == nil {
			t.Errorf("%s: ssh-keygen accepts this: it is no example", name)
		}
	}
	if _, err := Parse([]byte(sig + "junk")); err == nil {
		t.Error("text after the signature: accepted")
	}
}

func TestSignRefuses(t *testing.T) {
	key := readKey(t, sshkeygen.New(t))
	for _, tt := range [][2]string{{"", "sha512"}, {"file", "sha1"}, {"file", ""}} {
		if sig, err := Sign(t.Context(), key, tt[0], tt[1], strings.NewReader(message)); err == nil {
			t.Errorf("%q: got %s", tt, sig)
		}
	}
}

func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	authority, path := sshkeygen.New(t), sshkeygen.New(t)
	if out, err := keygen(t, "-q", "-s", authority, "-I", "id", "-n", "alice", path+".pub"); err != nil {
		t.Fatal(err, out)
	}
	file := write(t, filepath.Join(dir, "file"), message)
	if out, err := keygen(t, "-Y", "sign", "-f", path+"-cert.pub", "-n", "file", file); err != nil {
		t.Fatal(err, out)
	}
	sig, err := os.ReadFile(file + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(sig); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v, want an error about a certificate", err)
	}
}

// Each line is tried here and with ssh-keygen. KEY is the key that signed.
func TestAllowedSigners(t *testing.T) {
	path := sshkeygen.New(t)
	key := readKey(t, path)
	other := signer.AuthorizedKey(sshkeygen.PublicKey(t, sshkeygen.New(t)))
	sig := write(t, filepath.Join(t.TempDir(), "sig"), string(signMessage(t, key, "sha512")))
	const yes, no, stricter = "yes", "no", "stricter than ssh-keygen"
	for line, want := range map[string]string{
		`alice KEY`:         yes,
		`alice KEY comment`: yes,
		"\talice  \t KEY\r": yes,
		`alice OTHER`:       no,
		`Alice KEY`:         no,
		`bob KEY`:           no,
		`bob,alice KEY`:     yes,
		`"alice" KEY`:       yes,
		`"bob b,alice" KEY`: yes,
		`a*e KEY`:           yes,
		`* KEY`:             yes,
		`al??e KEY`:         yes,
		`a?e KEY`:           no,
		`alice? KEY`:        no,
		`alicex KEY`:        no,
		`alice* KEY`:        yes,
		`alice valid-after="20200101",valid-after="20210101" KEY`:   no,
		`alice valid-before="29990101",valid-before="29980101" KEY`: no,
		`*,!alice KEY`:                   no,
		`!alice,* KEY`:                   no,
		`!bob KEY`:                       no,
		`!bob,* KEY`:                     yes,
		`# alice KEY`:                    no,
		`alice`:                          no,
		`alice ssh-ed25519`:              no,
		`alice AAAA`:                     no,
		`alice namespaces="file" KEY`:    yes,
		`alice NAMESPACES="git,f*" KEY`:  yes,
		`alice namespaces="*,!file" KEY`: no,
		`alice namespaces="git" KEY`:     no,
		`alice namespaces="" KEY`:        no,
		`alice namespaces=file KEY`:      no,
		`alice namespaces KEY`:           no,
		`alice namespaces="file" namespaces="git" KEY`:                               no,
		`alice namespaces="file",namespaces="file" KEY`:                              no,
		`alice namespaces="file" , KEY`:                                              no,
		`alice namespaces="file", KEY`:                                               no,
		`alice ,namespaces="file" KEY`:                                               stricter,
		`alice namespaces="a\"b,file" KEY`:                                           stricter,
		`al"ice" KEY`:                                                                stricter,
		`"alice"KEY`:                                                                 yes,
		`alice namespaces="file KEY`:                                                 no,
		`alice no-touch-required KEY`:                                                no,
		`alice cert-authority KEY`:                                                   no,
		`alice cert-authority,namespaces="file" KEY`:                                 no,
		`alice valid-after="20200101" KEY`:                                           yes,
		`alice valid-after="20200101Z" KEY`:                                          yes,
		`alice valid-after="202001011200" KEY`:                                       yes,
		`alice valid-after="20200101120000Z" KEY`:                                    yes,
		`alice valid-after="20200101UTC" KEY`:                                        yes,
		`alice valid-after="20200101z" KEY`:                                          stricter,
		`alice valid-after="20240231" KEY`:                                           stricter,
		`alice valid-after="29990101" KEY`:                                           no,
		`alice valid-before="29990101" KEY`:                                          yes,
		`alice valid-before="20200101" KEY`:                                          no,
		`alice valid-before="2020" KEY`:                                              no,
		`alice valid-before="19700101Z" KEY`:                                         no,
		`alice valid-before="2020-01-01" KEY`:                                        no,
		`alice valid-after="20200101",valid-before="29990101",namespaces="file" KEY`: yes,
		`alice valid-after="29980101",valid-before="20990101" KEY`:                   no,
		"bob OTHER\nalice OTHER\nalice broken\nalice KEY":                            yes,
		"alice namespaces=\"git\" KEY\nalice KEY":                                    yes,
		"alice\x00 KEY":                                                              no,
		"alice KEY\x01":                                                              no,
		strings.Repeat("x", 1022) + ",alice KEY":                                     yes,
		strings.Repeat("x", 1023) + ",alice KEY":                                     no,
	} {
		text := strings.NewReplacer("KEY", signer.AuthorizedKey(key.PublicKey()), "OTHER", other).Replace(line)
		allowed := write(t, filepath.Join(t.TempDir(), "allowed"), text+"\n")
		_, err := keygen(t, "-Y", "verify", "-f", allowed, "-I", "alice", "-n", "file", "-s", sig)
		if (err == nil) != (want != no) {
			t.Errorf("%.100q: ssh-keygen: %v, want %s", line, err, want)
		}
		err = CheckAllowed("allowed", text+"\n", key.PublicKey(), "alice", "file", time.Now())
		if (err == nil) != (want == yes) {
			t.Errorf("%.100q: %v, want %s", line, err, want)
		}
	}
}

func TestAllowedSignersErrors(t *testing.T) {
	key := readKey(t, sshkeygen.New(t)).PublicKey()
	for line, want := range map[string]string{
		"alice cert-authority KEY":                                      "f:1: cert-authority: certificates are not supported, only plain keys",
		`# x` + "\nalice foo KEY":                                       `f:2: unknown option "foo"`,
		`alice valid-before="20200101Z" KEY`:                            "f:1: the key was valid before 2020-01-01T00:00:00Z",
		`alice namespaces="git" KEY`:                                    `f:1: the key is not for the namespace "file", only for "git"`,
		"alice ssh-rsa " + strings.Fields(signer.AuthorizedKey(key))[1]: "f:1: the line says ssh-rsa and its key is of the type ssh-ed25519",
		"bob KEY":            `f has no line with the key SHA256:`,
		"alice \x1b[31m KEY": "f:1: a control character",
	} {
		err := CheckAllowed("f", strings.ReplaceAll(line, "KEY", signer.AuthorizedKey(key)), key, "alice", "file", time.Now())
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", line, err, want)
		}
	}
}

// A comment is no signer, also for a name that begins with "#".
func TestComment(t *testing.T) {
	key := readKey(t, sshkeygen.New(t)).PublicKey()
	if err := CheckAllowed("f", "#* "+signer.AuthorizedKey(key), key, "#x", "file", time.Now()); err == nil {
		t.Error("a comment allows a key")
	}
}

func TestKinds(t *testing.T) {
	small, err := ssh.NewPublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1022, 1), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	if err := checkKind(small); err == nil {
		t.Error("an RSA key of 1023 bits passes")
	}
	curve, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range [][]byte{
		ssh.Marshal(struct{ Name, Curve, Key, App string }{ssh.KeyAlgoSKECDSA256, "nistp256", string(curve.PublicKey().Bytes()), "ssh:"}),
		ssh.Marshal(struct{ Name, Key, App string }{ssh.KeyAlgoSKED25519, strings.Repeat("k", 32), "ssh:"}),
	} {
		pub, err := ssh.ParsePublicKey(blob)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkKind(pub); err != nil {
			t.Errorf("%s: %v", pub.Type(), err)
		}
	}
}

// A local time is standard time, as ssh-keygen takes it.
func TestLocalTimes(t *testing.T) {
	path := sshkeygen.New(t)
	key := readKey(t, path)
	sig := write(t, filepath.Join(t.TempDir(), "sig"), string(signMessage(t, key, "sha512")))
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney", "Australia/Lord_Howe"} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"20240101", "202407011230", "20240331023000", "20241027023000"} {
			begin, err := parseTime(text, location)
			if err != nil {
				t.Fatal(err)
			}
			allowed := write(t, filepath.Join(t.TempDir(), "allowed"), "alice valid-after=\""+text+"\" "+signer.AuthorizedKey(key.PublicKey())+"\n")
			for _, at := range []time.Time{begin.Add(-time.Second), begin} {
				cmd := exec.CommandContext(t.Context(), "ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "alice", "-n", "file", "-s", sig, "-O", "verify-time="+at.UTC().Format("20060102150405Z"))
				cmd.Env = append(os.Environ(), "TZ="+zone)
				cmd.Stdin = strings.NewReader(message)
				if err := cmd.Run(); (err == nil) != !at.Before(begin) {
					t.Errorf("%s in %s is %v here, and ssh-keygen says of %v: %v", text, zone, begin.UTC(), at.UTC(), err)
				}
			}
		}
	}
}

// FuzzAllowedSigners holds that each file that allows a signature here allows it for
// ssh-keygen too. KEY stands for the key.
func FuzzAllowedSigners(f *testing.F) {
	path := sshkeygen.New(f)
	key := readKey(f, path)
	sig := write(f, filepath.Join(f.TempDir(), "sig"), string(signMessage(f, key, "sha512")))
	for _, seed := range []string{
		"alice KEY", `a*,!bob namespaces="file,git" KEY`, `"alice" valid-after="20200101Z",valid-before="29990101" KEY x`,
		"# x\n\n bob KEY\nalice cert-authority KEY\r\nalice,b KEY",
	} {
		f.Add(seed, "alice", "file")
	}
	allowed := filepath.Join(f.TempDir(), "allowed")
	f.Fuzz(func(t *testing.T, text, identity, namespace string) {
		text = strings.ReplaceAll(text, "KEY", signer.AuthorizedKey(key.PublicKey()))
		if identity == "" || strings.ContainsAny(identity+namespace, "\x00") || CheckAllowed(allowed, text, key.PublicKey(), identity, namespace, time.Now()) != nil {
			return
		}
		sig := sig
		if namespace == "" {
			return
		}
		if namespace != "file" {
			s, err := Sign(t.Context(), key, namespace, "sha512", strings.NewReader(message))
			if err != nil {
				t.Fatal(err)
			}
			sig = write(t, filepath.Join(t.TempDir(), "sig"), string(s))
		}
		write(t, allowed, text)
		if out, err := keygen(t, "-Y", "verify", "-f", allowed, "-I", identity, "-n", namespace, "-s", sig); err != nil {
			t.Errorf("ssh-keygen refuses %q for %q in %q: %s", text, identity, namespace, out)
		}
	})
}
