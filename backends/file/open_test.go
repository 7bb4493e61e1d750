package file_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestOpenPKCS8(t *testing.T) {
	key := signertest.NewKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tempDir(t), "key.pem")
	write(t, path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	checkOpens(t, path, publicKey(t, key))
}

func TestOpenRefuses(t *testing.T) {
	dir := tempDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	key := writeKey(t, at("good"))
	pub := ssh.MarshalAuthorizedKey(publicKey(t, key))
	write(t, at("good.pub"), pub)
	write(t, at("public"), pub)
	write(t, at("alone.pub"), pub)
	for _, name := range []string{"public", "good.pub"} {
		if err := os.Chmod(at(name), 0o644); err != nil { // as it should be
			t.Fatal(err)
		}
	}
	write(t, at("empty"), nil)
	write(t, at("truncated"), openSSH(t, key)[:200])
	write(t, at("text"), []byte("hello"))

	tests := []struct {
		name string
		want []string
		is   error
	}{
		{"absent", []string{"generate or import a key"}, signer.ErrNotFound},
		{"empty", []string{"0 bytes", "empty"}, nil},
		{"truncated", []string{"200 bytes", "cut short"}, nil},
		{"text", []string{"5 bytes", "no private key"}, nil},
		{"public", []string{"a public key"}, nil},
		{"good.pub", []string{"a public key", "use " + at("good")}, nil},
		{"alone.pub", []string{"a public key"}, nil},
		{"", []string{"is a directory"}, nil},
	}
	for _, tt := range tests {
		for _, op := range []string{"Open", "Export"} {
			path := at(tt.name)
			var err error
			if b := new(file.Backend); op == "Open" {
				_, err = b.Open(t.Context(), path)
			} else {
				_, err = b.Export(t.Context(), path)
			}
			if err == nil {
				t.Errorf("%s(%s) succeeded", op, path)
				continue
			}
			for _, want := range append(tt.want, path) {
				if !strings.Contains(told(err), want) {
					t.Errorf("%s(%s) = %v, want %q in it", op, path, err, want)
				}
			}
			if advises := strings.Contains(told(err), "use "+dir); advises != (tt.name == "good.pub") {
				t.Errorf("%s(%s) = %v: does it name another file to use?", op, path, err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) || tt.is == nil && (errors.Is(err, signer.ErrNotFound) || errors.Is(err, signer.ErrInsecure)) {
				t.Errorf("%s(%s) = %v, want %v", op, path, err, tt.is)
			}
		}
	}
}

func TestNames(t *testing.T) {
	longest := strings.Repeat("/long", 4096/5) + "x"
	if _, err := new(file.Backend).Open(t.Context(), longest); err == nil || errors.Is(err, signer.ErrName) {
		t.Errorf("Open of a path of %d bytes = %v, want another error than ErrName", len(longest), err)
	}
	for _, name := range []string{"~otheruser/.ssh/id_ed25519", "directory/", longest + "x"} {
		_, err := new(file.Backend).Open(t.Context(), name)
		if !errors.Is(err, signer.ErrName) {
			t.Errorf("Open(%q) = %v, want ErrName", name, err)
		}
		if err != nil && strings.Contains(err.Error(), name) {
			t.Errorf("the malformed name is repeated: %v", err)
		}
	}
}

func TestHome(t *testing.T) {
	home := tempDir(t)
	variable := "HOME"
	if runtime.GOOS == "windows" {
		variable = "USERPROFILE"
	}
	t.Setenv(variable, home)
	b := new(file.Backend)
	s, err := b.Generate(t.Context(), "~/.ollama/id_ed25519")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, ".ollama", "id_ed25519")
	checkOpens(t, path, s.PublicKey())
	if _, err := b.Open(t.Context(), "~"); err == nil || !strings.Contains(err.Error(), home+" is a directory") {
		t.Errorf("Open(~) = %v", err)
	}

	t.Run("unset", func(t *testing.T) {
		t.Setenv(variable, "") // to restore it
		os.Unsetenv(variable)
		checkOpens(t, path, s.PublicKey())
		_, err := b.Open(t.Context(), "~/.ollama/id_ed25519")
		if !errors.Is(err, signer.ErrUnavailable) || !strings.Contains(told(err), "give an absolute path") {
			t.Errorf("Open without a home directory: %v", err)
		}
	})
}

// Where no folder is configured, the path stays as it was given: the name before
// .. may be a symbolic link.
func TestPathIsKept(t *testing.T) {
	const name = "link/../key"
	if got, err := new(file.Backend).Path(name); got != name || err != nil {
		t.Errorf("Path(%q) = %q, %v", name, got, err)
	}
}

// The tilde of a file's name is no home directory.
func TestTildeInName(t *testing.T) {
	t.Chdir(tempDir(t))
	key := writeKey(t, "~key")
	checkOpens(t, "./~key", publicKey(t, key))
}

// Editors and shells of Windows, and web pages, change a key on its way to a file.
func TestOpenTextOfOthers(t *testing.T) {
	key := signertest.NewKey(t)
	text := string(openSSH(t, key))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var utf16LE []byte
	for _, r := range "\ufeff" + text {
		utf16LE = binary.LittleEndian.AppendUint16(utf16LE, uint16(r))
	}
	path := filepath.Join(tempDir(t), "key")
	for name, data := range map[string][]byte{
		"byte order mark": []byte("\ufeff" + text),
		"UTF-16":          utf16LE,
		"base64 of DER":   []byte(base64.StdEncoding.EncodeToString(der) + "\n"),
	} {
		write(t, path, data)
		s, err := new(file.Backend).Open(t.Context(), path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkSigns(t, s, publicKey(t, key))
	}
	write(t, path, []byte(strings.Replace(text, "-----BEGIN", "\u2011----BEGIN", 1)))
	if _, err := new(file.Backend).Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "U+2011, non-breaking hyphen") {
		t.Errorf("a look-alike: %v", err)
	}
}
