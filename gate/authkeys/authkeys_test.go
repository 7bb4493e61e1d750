package authkeys

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
)

func newLine(t testing.TB) (ssh.PublicKey, string) {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// A line with a mistake counts for nothing, and the lines around it stay in force.
func TestRule06_LinesWithMistakes(t *testing.T) {
	_, line := newLine(t)
	const sk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDrh4n2MYbJuUY0Hj4CtD2p2GzfOkHJxNq1sg+7XsAzUAAAABHNzaDo="
	for mistake, want := range map[string]string{
		`command="ls" ` + line + " a":                    `the option "command" is not known here`,
		"restrict " + line + " a":                        `the option "restrict" is not known here`,
		"cert-authority " + line + " a":                  `the option "cert-authority" is not known here`,
		`no-such="x" ` + line + " a":                     `the option "no-such" is not known here`,
		`from="10.0.0.0/8",restrict ` + line + " a":      `the option "restrict" is not known here`,
		"from " + line + " a":                            `the option "from" is not known here`,
		`from="" ` + line + " a":                         "the option from: want a value in quotes",
		`from=10.0.0.1 ` + line + " a":                   "the option from: want a value in quotes",
		`from="example.com" ` + line + " a":              "is not an address",
		`from="*.example.com" ` + line + " a":            "is not an address",
		`from="10.0.0.1/8" ` + line + " a":               "is not a network",
		`from="10.0.0.0/33" ` + line + " a":              "is not a network",
		`from="::ffff:10.0.0.0/104" ` + line + " a":      "is not a network",
		`from="10.0.0.1," ` + line + " a":                "is not an address",
		`from="a",from="b" ` + line + " a":               "is not an address",
		`from="10.0.0.1",from="10.0.0.2" ` + line + " a": "the option from comes twice",
		`expiry-time="2027" ` + line + " a":              "the option expiry-time: want",
		`expiry-time="20271331" ` + line + " a":          "the option expiry-time: want",
		`expiry-time="20271231z" ` + line + " a":         "the option expiry-time: want",
		line:                                             "the comment is the name of the key's owner",
		line + " two words":                              "the comment is the name of the key's owner",
		line + " a/b":                                    "the comment is the name of the key's owner",
		line + " *":                                      "the comment is the name of the key's owner",
		line + " " + strings.Repeat("a", 65):             "the comment is the name of the key's owner",
		sk + " a":                                        "key refused: a key of type sk-ssh-ed25519@openssh.com",
		"ssh-ed25519 AAAA a":                             "not a line of authorized_keys",
		"nonsense":                                       "not a line of authorized_keys",
		`from="10.0.0.1 ` + line + " a":                  "not a line of authorized_keys",
	} {
		one, first := newLine(t)
		two, last := newLine(t)
		keys := Parse([]byte("# keys\n"+first+" one\n\n"+mistake+"\n"+last+" two"), "file")
		for _, key := range []ssh.PublicKey{one, two} {
			if _, ok := keys.Find(key); !ok {
				t.Errorf("%s: another line is out of force", mistake)
			}
		}
		if len(keys.Mistakes) != 1 || len(keys.Entries) != 2 {
			t.Errorf("%s: %d mistakes, %d keys", mistake, len(keys.Mistakes), len(keys.Entries))
			continue
		}
		if m := keys.Mistakes[0]; m.Line != 4 || !strings.Contains(m.Error(), want) || !strings.HasPrefix(m.Error(), "file:4: ") {
			t.Errorf("%s: %v, want %s", mistake, m, want)
		}
	}
}

func TestRule06_KeyInTwoLines(t *testing.T) {
	key, line := newLine(t)
	keys := Parse([]byte(line+" one\n"+line+" two\n"), "file")
	if e, _ := keys.Find(key); e.Name != "one" || len(keys.Mistakes) != 1 || keys.Mistakes[0].Line != 2 {
		t.Errorf("got %+v, %v", e, keys.Mistakes)
	}
}

func TestParse(t *testing.T) {
	key, line := newLine(t)
	for _, text := range []string{
		line + " alice@host-1.x_2",
		"\ufeff" + line + " alice@host-1.x_2\r\n",
		"  \t" + line + "   alice@host-1.x_2  ",
		`FROM="10.0.0.0/8,!10.1.0.0/16",Expiry-Time="20271231Z" ` + line + " alice@host-1.x_2",
	} {
		keys := Parse([]byte(text), "file")
		e, ok := keys.Find(key)
		if !ok || e.Name != "alice@host-1.x_2" || e.Line != 1 {
			t.Errorf("%q: got %+v, %v", text, e, keys.Mistakes)
		}
		if again, ok := keys.FindFingerprint(ssh.FingerprintSHA256(key)); !ok || again.Line != e.Line {
			t.Errorf("%q: not found by its fingerprint", text)
		}
	}
}

func TestRule06_Expiry(t *testing.T) {
	_, line := newLine(t)
	local := func(layout, text string) time.Time {
		at, err := time.ParseInLocation(layout, text, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for options, want := range map[string]time.Time{
		`expiry-time="20271231Z"`:                             time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC),
		`expiry-time="202712312359Z"`:                         time.Date(2027, 12, 31, 23, 59, 0, 0, time.UTC),
		`expiry-time="20271231235958Z"`:                       time.Date(2027, 12, 31, 23, 59, 58, 0, time.UTC),
		`expiry-time="20271231"`:                              local("20060102", "20271231"),
		`expiry-time="20280101Z",expiry-time="20271231Z"`:     time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC),
		`expiry-time="20271231Z",expiry-time="202801010000Z"`: time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		keys := Parse([]byte(options+" "+line+" a"), "file")
		if len(keys.Entries) != 1 {
			t.Errorf("%s: %v", options, keys.Mistakes)
			continue
		}
		e := keys.Entries[0]
		if !e.Expires.Equal(want) {
			t.Errorf("%s: %v, want %v", options, e.Expires, want)
		}
		if err := e.Check(netip.Addr{}, want.Add(-1)); err != nil {
			t.Errorf("%s: just before: %v", options, err)
		}
		if err := e.Check(netip.Addr{}, want); !errors.Is(err, ErrExpired) {
			t.Errorf("%s: at the end: %v", options, err)
		}
	}
}

func TestRule06_From(t *testing.T) {
	_, line := newLine(t)
	for _, tt := range []struct{ from, in, out string }{
		{"10.0.0.0/8", "10.0.0.1 10.255.255.255 ::ffff:10.1.2.3", "11.0.0.1 ::1 2001:db8::1"},
		{"10.0.0.1", "10.0.0.1", "10.0.0.10 10.0.0.2"},
		{"10.0.0.?", "10.0.0.1 10.0.0.9", "10.0.0.10"},
		{"10.0.*", "10.0.0.1 10.0.200.10", "10.1.0.1 110.0.0.1"},
		{"10.0.0.0/8,!10.1.0.0/16", "10.0.0.1", "10.1.2.3"},
		{"!10.1.0.0/16,10.0.0.0/8", "10.0.0.1", "10.1.2.3"},
		{"!10.1.0.0/16", "", "10.1.2.3 10.0.0.1"},
		{"2001:db8::/32", "2001:db8::1", "2001:db9::1 10.0.0.1"},
		{"2001:DB8::*", "2001:db8::1", "2001:db9::1"},
		{"::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"},
	} {
		keys := Parse([]byte(`from="`+tt.from+`" `+line+" a"), "file")
		if len(keys.Entries) != 1 {
			t.Errorf("%s: %v", tt.from, keys.Mistakes)
			continue
		}
		e := keys.Entries[0]
		for _, text := range strings.Fields(tt.in) {
			if err := e.Check(netip.MustParseAddr(text), time.Now()); err != nil {
				t.Errorf("%s: %s: %v", tt.from, text, err)
			}
		}
		for _, text := range strings.Fields(tt.out) {
			if err := e.Check(netip.MustParseAddr(text), time.Now()); !errors.Is(err, ErrAddress) {
				t.Errorf("%s: %s: %v", tt.from, text, err)
			}
		}
		if err := e.Check(netip.Addr{}, time.Now()); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: an unknown address: %v", tt.from, err)
		}
	}
}

func TestRule07_Names(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "A.b_c@d-9": true, strings.Repeat("x", 64): true, "": false, strings.Repeat("x", 65): false,
		"a b": false, "a/b": false, "*": false, "${name}": false, "a\n": false, "\u00e9": false, "a:b": false,
	} {
		if IsName(name) != want {
			t.Errorf("IsName(%q) = %v", name, !want)
		}
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRule06_DenyList(t *testing.T) {
	dir := t.TempDir()
	authorized, denied := filepath.Join(dir, "authorized"), filepath.Join(dir, "denied")
	one, lineOne := newLine(t)
	two, lineTwo := newLine(t)
	three, lineThree := newLine(t)
	write(t, authorized, fmt.Sprintf("%s one\n%s two\n%s three\n", lineOne, lineTwo, lineThree))
	write(t, denied, "# stolen\n"+lineOne+" laptop of one\n"+ssh.FingerprintSHA256(two)+" phone\n")
	s, err := Open(authorized, denied)
	if err != nil {
		t.Fatal(err)
	}
	find := func(key ssh.PublicKey) error {
		_, err := s.Find(key, netip.Addr{}, time.Now())
		_, err2 := s.FindFingerprint(ssh.FingerprintSHA256(key), netip.Addr{}, time.Now())
		if cmp.Diff(fmt.Sprint(err), fmt.Sprint(err2)) != "" {
			t.Errorf("by the key: %v; by its fingerprint: %v", err, err2)
		}
		return err
	}
	if err := errors.Join(find(three)); err != nil {
		t.Error(err)
	}
	for _, key := range []ssh.PublicKey{one, two} {
		if err := find(key); !errors.Is(err, ErrDenied) {
			t.Errorf("a denied key: %v", err)
		}
	}
	reload := func() {
		for _, f := range s.Files() {
			f.Reload()
		}
	}
	for _, damage := range []func(){
		func() { write(t, denied, "SHA256:short\n") },
		func() { write(t, denied, ssh.FingerprintSHA256(one)+"\nnonsense\n") },
		func() { os.Remove(denied) },
	} {
		damage()
		reload()
		if err := find(three); !errors.Is(err, ErrDenied) {
			t.Errorf("while the deny list cannot be read: %v", err)
		}
		write(t, denied, "")
		reload()
		if err := find(one); err != nil {
			t.Errorf("after it was mended: %v", err)
		}
	}
}

func TestRule06_FileThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authorized")
	if _, err := Open(path, ""); err == nil {
		t.Error("no error for a missing file at the start")
	}
	key, line := newLine(t)
	write(t, path, line+" one\n")
	s, err := Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.Files()[0].Reload()
	if _, err := s.Find(key, netip.Addr{}, time.Now()); err != nil {
		t.Errorf("the last content is not used: %v", err)
	}
	if s.Files()[0].Err() == nil {
		t.Error("the file is missing, and ready")
	}
	write(t, path, "")
	s.Files()[0].Reload()
	if _, err := s.Find(key, netip.Addr{}, time.Now()); !errors.Is(err, ErrUnknown) || s.Files()[0].Err() != nil {
		t.Errorf("an empty file: %v, %v", err, s.Files()[0].Err())
	}
}

func FuzzParse(f *testing.F) {
	_, line := newLine(f)
	f.Add(line + " a\n")
	f.Add(`from="10.0.0.0/8",expiry-time="20271231Z" ` + line + " a")
	f.Add("command=\"" + line + " a\" " + line + " b")
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range Parse([]byte(text), "file").Entries {
			if !IsName(e.Name) {
				t.Errorf("the name %q", e.Name)
			}
		}
	})
}

// Several programs that enrol keys at the same time write whole lines, and each key once.
func TestAppendAtTheSameTime(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "authorized_keys")
		_, line := newLine(t)
		if err := os.WriteFile(path, []byte(line+" first"), 0o600); err != nil { // without a line break
			t.Fatal(err)
		}
		one, _ := newLine(t)
		two, _ := newLine(t)
		results := make(chan error)
		for _, key := range []ssh.PublicKey{one, one, two, two} {
			go func() { results <- Append(path, key, "alice") }()
		}
		enrolled := 0
		for range 4 {
			if err := <-results; err == nil {
				enrolled++
			} else if !errors.Is(err, ErrEnrolled) {
				t.Error(err)
			}
		}
		data, err := os.ReadFile(path)
		keys := Parse(data, "file")
		if err != nil || enrolled != 2 || len(keys.Entries) != 3 || len(keys.Mistakes) != 0 || strings.Contains(string(data), "\n\n") {
			t.Fatalf("%d calls enrolled a key, %v:\n%s", enrolled, err, data)
		}
	}
}
