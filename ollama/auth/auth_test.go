package auth_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/ollama/auth"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

const request = "POST,/api/me?ts=1700000000"

// TestSignVector compares with a signature that Ollama's own code made. Package
// ollama tests all of them.
func TestSignVector(t *testing.T) {
	data, err := os.ReadFile("../../challenge/testdata/ollama.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Key struct {
			Seed string `json:"seed_hex"`
		}
		Vectors []struct {
			Signed        string `json:"signed_string"`
			Authorization string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	order := start(t, "OLLAMA_KEY="+file.Key.Seed, configured(t, ""))
	v := file.Vectors[0]
	if r := order("sign " + v.Signed); r.Value != v.Authorization {
		t.Errorf("got %+v, want %s", r, v.Authorization)
	}
}

// TestSignRefusesBeforeOpening wants a text of another protocol refused although
// there is no key, because a person must not be asked to unlock a key for it.
func TestSignRefusesBeforeOpening(t *testing.T) {
	order := start(t, "COUNTERSIGN_KEY=env:ABSENT", configured(t, ""))
	r := order("sign SSHSIG\x00\x00\x00\x03git")
	if !strings.Contains(r.Error, "sshsig") || r.is(signer.ErrNotFound) {
		t.Errorf("got %+v", r)
	}
}

func TestKeyIsTheKeyOfSign(t *testing.T) {
	first, err := auth.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second, err := auth.Key(t.Context()); err != nil || second != first {
		t.Errorf("a second call returned %v, %v", second, err)
	}
	authorization, err := auth.Sign(t.Context(), []byte(request))
	checkSignature(t, reply{Value: authorization}, line(first.PublicKey()))
	if err != nil {
		t.Error(err)
	}
}

func TestKeySources(t *testing.T) {
	key, path := newKey(t)
	pub := publicKey(t, key)
	text := read(t, path)
	none := configured(t, "")
	for name, env := range map[string][]string{
		"Ollama's file":                    append(home(filepath.Dir(filepath.Dir(path))), none),
		"a variable, and no home":          {"OLLAMA_KEY=" + text, none},
		"a variable without lines":         {"OLLAMA_KEY=" + strings.ReplaceAll(text, "\n", `\n`), none},
		"a mounted file":                   {"OLLAMA_KEY_FILE=" + path, none},
		"the reference in COUNTERSIGN_KEY": {"COUNTERSIGN_KEY=file:" + path, "OLLAMA_KEY=" + strings.Repeat("00", 32), none},
		"the list in the file":             {configured(t, `keys = ["env:ABSENT", "env:MINE"]`), "MINE=" + text},
		"no file":                          {"COUNTERSIGN_CONFIG=" + os.DevNull, "OLLAMA_KEY=" + text},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			order := start(t, env...)
			if r := order("public"); r.Value != pub {
				t.Errorf("public key: got %+v, want %s", r, pub)
			}
			checkSignature(t, order("sign "+request), pub)
		})
	}
}

func TestNoUsableKey(t *testing.T) {
	_, path := newKey(t)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  []string
		want []string
		kind error
	}{
		"nowhere": {
			append(home(t.TempDir()), configured(t, "")),
			[]string{"env:OLLAMA_KEY", "keyring:ollama", "file:~/.ollama/id_ed25519", "OLLAMA_KEY_FILE", "id_ed25519"},
			signer.ErrNotFound,
		},
		"no home": {
			[]string{configured(t, "")},
			[]string{"env:OLLAMA_KEY", "keyring:ollama", "file:~/.ollama/id_ed25519"},
			nil,
		},
		"asked for": {
			[]string{"COUNTERSIGN_KEY=env:ABSENT", "OLLAMA_KEY=" + strings.Repeat("00", 32), configured(t, "")},
			[]string{"env:ABSENT", "COUNTERSIGN_KEY asks for this key"},
			signer.ErrNotFound,
		},
		"mistake in the file": {
			[]string{"OLLAMA_KEY=" + strings.Repeat("00", 32), configured(t, `key = "env:OLLAMA_KEY"`)},
			[]string{"config.toml:1:", "keys"},
			nil,
		},
		"no such file": {
			[]string{"OLLAMA_KEY=" + strings.Repeat("00", 32), "COUNTERSIGN_CONFIG=" + filepath.Join(t.TempDir(), "absent")},
			[]string{"COUNTERSIGN_CONFIG", "absent"},
			nil,
		},
		"readable by others": {
			append(home(filepath.Dir(filepath.Dir(path))), configured(t, "")),
			[]string{"open to others"},
			signer.ErrInsecure,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.kind == signer.ErrInsecure && runtime.GOOS == "windows" {
				t.Skip("Windows has no modes")
			}
			order := start(t, c.env...)
			for _, line := range []string{"public", "sign " + request} {
				r := order(line)
				if r.Value != "" || r.Error == "" || c.kind != nil && !r.is(c.kind) {
					t.Errorf("%s: got %+v, want %v", line, r, c.kind)
				}
				for _, want := range c.want {
					if !strings.Contains(r.Error, want) {
						t.Errorf("%s: the error lacks %q: %s", line, want, r.Error)
					}
				}
			}
		})
	}
}

// TestLockedKey wants the public key without the passphrase, because the sign-in
// page needs no more.
func TestLockedKey(t *testing.T) {
	key, path := newKey(t)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, pem.EncodeToMemory(block))
	order := start(t, "COUNTERSIGN_KEY=file:"+path, configured(t, ""))
	if r := order("public"); r.Value != publicKey(t, key) {
		t.Errorf("public key: got %+v", r)
	}
	if r := order("sign " + request); !r.is(signer.ErrLocked) || !strings.Contains(r.Error, path) {
		t.Errorf("signature: got %+v", r)
	}
}

// TestKeyIsKept wants the key read once, and again when another file took its
// place.
func TestKeyIsKept(t *testing.T) {
	t.Run("variable", func(t *testing.T) {
		order := start(t, "OLLAMA_KEY="+strings.Repeat("00", 32), configured(t, `keys = ["env:OLLAMA_KEY"]`))
		first := order("sign " + request)
		order("unset OLLAMA_KEY")
		if second := order("sign " + request); first.Value == "" || second.Value != first.Value {
			t.Errorf("got %+v, then %+v", first, second)
		}
	})
	t.Run("file", func(t *testing.T) {
		before, path := newKey(t)
		after, other := newKey(t)
		if err := os.Rename(path, path+".before"); err != nil {
			t.Fatal(err)
		}
		order := start(t, "COUNTERSIGN_KEY=file:"+path, configured(t, ""))
		if r := order("sign " + request); !r.is(signer.ErrNotFound) {
			t.Errorf("before there is a key: got %+v", r)
		}
		for _, step := range []struct {
			from string
			key  ed25519.PrivateKey
		}{{path + ".before", before}, {other, after}} {
			if err := os.Rename(step.from, path); err != nil {
				t.Fatal(err)
			}
			checkSignature(t, order("sign "+request), publicKey(t, step.key))
			if r := order("public"); r.Value != publicKey(t, step.key) {
				t.Errorf("got %+v", r)
			}
		}
	})
}

func TestSignEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := auth.Sign(ctx, []byte(request)); got != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", got, err)
	}
}

func checkSignature(t *testing.T, r reply, pub string) {
	t.Helper()
	signedBy, err := challenge.Verify(r.Value, []byte(request))
	if err != nil {
		t.Errorf("got %+v: %v", r, err)
	} else if got := line(signedBy); got != pub {
		t.Errorf("signed by %s, want %s", got, pub)
	}
}

// newKey returns a key and where it is: HOME/.ollama/id_ed25519.
func newKey(t *testing.T) (ed25519.PrivateKey, string) {
	t.Helper()
	key := signertest.NewKey(t)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), ".ollama")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "id_ed25519")
	write(t, path, pem.EncodeToMemory(block))
	return key, path
}

func publicKey(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return line(pub)
}

func line(pub ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) }

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
