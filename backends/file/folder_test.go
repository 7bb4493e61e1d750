package file_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/file"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

// A listed is an Info as it can be compared.
type listed struct{ Name, Key, Comment string }

func list(t *testing.T, b *file.Backend) []listed {
	t.Helper()
	infos, err := b.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for _, i := range infos {
		l := listed{i.Name, "", i.Comment}
		if i.PublicKey != nil {
			l.Key = ssh.FingerprintSHA256(i.PublicKey)
		}
		all = append(all, l)
	}
	return all
}

// line is what ssh-keygen writes into a .pub file.
func line(key ssh.PublicKey, comment string) []byte {
	return fmt.Appendf(nil, "%s %s\n", bytes.TrimSpace(ssh.MarshalAuthorizedKey(key)), comment)
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestRelativeNames(t *testing.T) {
	home, work := tempDir(t), tempDir(t)
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Chdir(work)
	inHome := publicKey(t, writeKey(t, filepath.Join(home, "key")))
	mkdir(t, filepath.Join(home, "keys", "below"))
	inKeys := publicKey(t, writeKey(t, filepath.Join(home, "keys", "key")))
	inBelow := publicKey(t, writeKey(t, filepath.Join(home, "keys", "below", "other")))
	inWork := publicKey(t, writeKey(t, filepath.Join(work, "key")))
	strange := publicKey(t, writeKey(t, filepath.Join(home, "keys", "~strange")))

	for _, tt := range []struct {
		dir, name string
		want      ssh.PublicKey
	}{
		{"", "key", inWork},
		{"~/keys", "key", inKeys},
		{filepath.Join(home, "keys"), "key", inKeys},
		{"~/keys", "below/other", inBelow},
		{"~/keys", "./~strange", strange},
		{"~/keys", "~/key", inHome},
		{"~/keys", filepath.Join(work, "key"), inWork},
		{"~", "key", inHome},
	} {
		s, err := (&file.Backend{Dir: tt.dir}).Open(t.Context(), tt.name)
		if err != nil {
			t.Errorf("%q in %q: %v", tt.name, tt.dir, err)
		} else if got, want := ssh.FingerprintSHA256(s.PublicKey()), ssh.FingerprintSHA256(tt.want); got != want {
			t.Errorf("%q in %q is %s, want %s", tt.name, tt.dir, got, want)
		}
	}
	if _, err := (&file.Backend{Dir: "keys"}).Open(t.Context(), "key"); !errors.Is(err, signer.ErrNotFound) {
		t.Errorf("in a folder that is not there: %v, want ErrNotFound", err)
	}
}

func TestNoHomeForDir(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("USERPROFILE", "")
	b := &file.Backend{Dir: "~/keys"}
	if _, err := b.List(t.Context()); !errors.Is(err, signer.ErrUnavailable) {
		t.Errorf("List = %v, want ErrUnavailable", err)
	}
	if _, err := b.Open(t.Context(), "key"); !errors.Is(err, signer.ErrUnavailable) {
		t.Errorf("Open = %v, want ErrUnavailable", err)
	}
}

// What cannot be used does not hide the rest.
func TestList(t *testing.T) {
	dir := tempDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	plain := signertest.NewKey(t)
	pub := publicKey(t, plain)
	print := ssh.FingerprintSHA256(pub)

	write(t, at("commented"), openSSH(t, plain))
	write(t, at("commented.pub"), line(pub, "me at home"))
	write(t, at("coloured"), openSSH(t, plain))
	write(t, at("coloured.pub"), line(pub, "\x1b[31mred"))
	write(t, at("beside another's .pub"), openSSH(t, plain))
	write(t, at("beside another's .pub.pub"), line(publicKey(t, signertest.NewKey(t)), "another"))
	write(t, at("damaged"), openSSH(t, plain)[:200])
	write(t, at("legacy"), []byte(legacy))
	write(t, at("legacy with .pub"), []byte(legacy))
	write(t, at("legacy with .pub.pub"), line(pub, "old"))
	write(t, at("two"), append(openSSH(t, plain), openSSH(t, signertest.NewKey(t))...))

	write(t, at("empty"), nil)
	write(t, at("known_hosts"), []byte("example.com "+string(ssh.MarshalAuthorizedKey(pub))))
	write(t, at("huge"), append(openSSH(t, plain), make([]byte, 64<<10)...))
	write(t, at(".countersign-1234.tmp"), openSSH(t, plain))
	write(t, at("~someone"), openSSH(t, plain))
	mkdir(t, at("folder"))
	write(t, at("folder/key"), openSSH(t, plain))
	want := []listed{
		{"beside another's .pub", print, ""},
		{"coloured", print, ""},
		{"commented", print, "me at home"},
		{"damaged", "", ""},
		{"legacy", "", ""},
		{"legacy with .pub", print, "old"},
		{"two", "", ""},
	}
	if diff := cmp.Diff(want, list(t, &file.Backend{Dir: dir})); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
}

// A key that only its passphrase tells more of.
const legacy = `-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,00000000000000000000000000000000

AAAA
-----END RSA PRIVATE KEY-----
`

func TestListNothing(t *testing.T) {
	t.Chdir(tempDir(t))
	writeKey(t, "key")
	for _, dir := range []string{"", filepath.Join(tempDir(t), "absent", "folder")} {
		if got := list(t, &file.Backend{Dir: dir}); got != nil {
			t.Errorf("List of %q: %v", dir, got)
		}
	}
	if _, err := (&file.Backend{Dir: "key"}).List(t.Context()); err == nil {
		t.Error("List of a file: no error")
	}
}

// A configuration that names a file as the folder is told so.
func TestListFolderThatIsAFile(t *testing.T) {
	path := filepath.Join(tempDir(t), "key")
	writeKey(t, path)
	_, err := (&file.Backend{Dir: path}).List(t.Context())
	if err == nil || err.Error() != "the key folder "+path+" is a file" || !strings.Contains(told(err), "name the folder that contains it") {
		t.Errorf("List = %v", told(err))
	}
	below := filepath.Join(path, "folder") // as in the home directory /dev/null of a service
	if infos, err := (&file.Backend{Dir: below}).List(t.Context()); err != nil || infos != nil {
		t.Errorf("List of a folder below a file = %v, %v", infos, err)
	}
}
