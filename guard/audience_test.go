package guard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/guard"
	"github.com/countersign/countersign/signer"
)

// tokenRequest returns the text of a token request to the endpoint at base.
func tokenRequest(base string) string {
	return "GET," + base + "?nonce=AAECAwQFBgcICQoLDA0ODw&ts=1,ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
}

// sshsig returns the text that ssh-keygen -Y sign signs.
func sshsig(namespace string) string {
	return "SSHSIG" + wire(namespace, "", "sha256", strings.Repeat("h", 32))
}

func TestAudienceOf(t *testing.T) {
	for text, want := range map[string]string{
		tokenRequest("https://r.example/token"):               "https://r.example",
		tokenRequest("https://R.Example:443/token"):           "https://r.example",
		tokenRequest("http://r.example:80"):                   "http://r.example",
		tokenRequest("http://r.example:443/"):                 "http://r.example:443",
		tokenRequest("https://r.example:0443/"):               "https://r.example",
		tokenRequest("https://[::0001]:5000/"):                "https://[::1]:5000",
		tokenRequest("https://good.example@evil.example/"):    "https://evil.example",
		tokenRequest("https://good.example:1@evil.example:2"): "https://evil.example:2",
		tokenRequest("https://r.example:99999/"):              "",
		tokenRequest("https://[::1%25eth0]/"):                 "https://[::1%25eth0]",
		tokenRequest("http://%B0/"):                           "http://%B0",
		tokenRequest("https://%E2%84%AA.example/"):            "https://%E2%84%AA.example",
		tokenRequest("https://" + strings.Repeat("a", 301)):   "",
		"GET,https://ollama.com?ts=1700000000,ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ==":                                "https://ollama.com",
		"COUNTERSIGN-SECRET,http://r.example:5000?actions=pull&expires=1&id=AAECAwQFBgcICQoLDA0ODw&key=SHA256%3AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&service=s": "http://r.example:5000",
		sshsig("git"):                                       "git",
		sshsig(strings.Repeat("n", 300)):                    strings.Repeat("n", 300),
		tokenRequest("https://AZ.example"):                  "https://az.example",
		tokenRequest("https://" + strings.Repeat("a", 300)): "https://" + strings.Repeat("a", 300),
		sshsig("file"):                                      "file",
		sshsig("a@example.com"):                             "a@example.com",
		sshsig(""):                                          "",
		sshsig("a b"):                                       "",
		sshsig("g\nit"):                                     "",
		sshsig(strings.Repeat("n", 301)):                    "",
		"SSHSIG":                                            "",
		"SSHSIG\x00\x00\x00\x04git":                         "",
		"POST,/api/me?ts=1700000000":                        "",
		"hello":                                             "",
	} {
		if got := guard.AudienceOf([]byte(text)); got != want {
			t.Errorf("AudienceOf(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestParsePurpose(t *testing.T) {
	for text, want := range map[string]guard.Purpose{
		"ollama.registry":                        "ollama.registry",
		"ollama.registry https://R.example":      "ollama.registry https://r.example",
		"ollama.registry HTTPS://r.example:443/": "ollama.registry https://r.example",
		"ollama.registry http://[0:0::1]:5000":   "ollama.registry http://[::1]:5000",
		"ollama.registry http://r.example:80":    "ollama.registry http://r.example",
		"ollama.registry https://r.example:80":   "ollama.registry https://r.example:80",
		"ollama.api":                             "ollama.api",
		"countersign.helper https://R.example":   "countersign.helper https://r.example",
		"sshsig":                                 "sshsig",
		"sshsig git":                             "sshsig git",
		"raw":                                    "raw",
		"":                                       "",
		"ollama":                                 "",
		"OLLAMA.API":                             "",
		" ollama.api":                            "",
		"ollama.api https://r.example":           "",
		"ssh.userauth git":                       "",
		"raw x":                                  "",
		"ollama.registry ":                       "",
		"ollama.registry r.example":              "",
		"ollama.registry ftp://r.example":        "",
		"ollama.registry https://":               "",
		"ollama.registry https://:443":           "",
		"ollama.registry https://[a:b]":          "",
		"ollama.registry https://" + strings.Repeat("a", 300): guard.Purpose("ollama.registry https://" + strings.Repeat("a", 300)),
		"sshsig " + strings.Repeat("n", 300):                  guard.Purpose("sshsig " + strings.Repeat("n", 300)),
		"ollama.registry https://r.example/token":             "",
		"ollama.registry https://r.example?a":                 "",
		"ollama.registry https://r.example#a":                 "",
		"ollama.registry https://u@r.example":                 "",
		"ollama.registry https://r.example:99999":             "",
		"ollama.registry https://r.example https://s":         "",
		"ollama.registry https://" + strings.Repeat("a", 301): "",
		"sshsig ":                            "",
		"sshsig a b":                         "",
		"sshsig g\xefit":                     "",
		"sshsig " + strings.Repeat("n", 301): "",
	} {
		got, err := guard.ParsePurpose(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParsePurpose(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestPurposes(t *testing.T) {
	all := guard.Purposes()
	if len(all) != 16 {
		t.Errorf("%d purposes, want 16: %v", len(all), all)
	}
	for _, p := range all {
		if got, err := guard.ParsePurpose(string(p)); got != p || err != nil {
			t.Errorf("ParsePurpose(%q) = %q, %v", p, got, err)
		}
		if got := p.For("x y").Protocol(); got != p {
			t.Errorf("the protocol of %q is %q", p.For("x y"), got)
		}
	}
}

// TestCheckAudience wants each text allowed for its own audience only.
func TestCheckAudience(t *testing.T) {
	texts := map[guard.Purpose]string{
		"ollama.registry https://a.example": tokenRequest("https://a.example/token"),
		"ollama.registry http://a.example":  tokenRequest("http://a.example/token"),
		"ollama.registry https://b.example": tokenRequest("https://b.example"),
		"sshsig git":                        sshsig("git"),
		"sshsig file":                       sshsig("file"),
		"ollama.api":                        "POST,/api/me?ts=1700000000",
	}
	for purpose, text := range texts {
		for other, otherText := range texts {
			err := guard.Check([]byte(otherText), purpose)
			if same := purpose == other; same != (err == nil) || !same && !errors.Is(err, guard.ErrPurpose) {
				t.Errorf("a text for %q, allowed is %q: %v", other, purpose, err)
			}
		}
		if err := guard.Check([]byte(text), purpose.Protocol()); err != nil {
			t.Errorf("a text for %q, allowed is %q: %v", purpose, purpose.Protocol(), err)
		}
	}
	for _, text := range []string{sshsig(""), sshsig("git file"), "SSHSIG", tokenRequest("https://r.example:99999/")} {
		for _, allowed := range []guard.Purpose{"sshsig ", "sshsig git", "ollama.registry ", "ollama.registry https://r.example"} {
			if err := guard.Check([]byte(text), allowed); err == nil {
				t.Errorf("%q is allowed for %q", text, allowed)
			}
		}
	}
}

func TestCheckNamesTheAudience(t *testing.T) {
	err := guard.Check([]byte(tokenRequest("https://evil.example/token")), "ollama.registry https://good.example", guard.API)
	want := "refused to sign: the signature would be valid for a registry's token (ollama.registry https://evil.example): only ollama.registry https://good.example and ollama.api are allowed"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	err = guard.Check([]byte(sshsig("")), "sshsig git")
	if want := " signs it (sshsig): only sshsig git is allowed"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("a text without an audience: %v, want ...%s", err, want)
	}
	err = guard.Check([]byte(sshsig("secret")), guard.API)
	want = "refused to sign: the signature would be valid for a file or commit, as ssh-keygen -Y signs it (sshsig): only ollama.api is allowed"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

// TestOnlyIsDenied wants the error that other refusals of a key have, with a hint.
func TestOnlyIsDenied(t *testing.T) {
	_, err := guard.Only(&counter{}, "sshsig git").Sign(t.Context(), []byte(sshsig("file")))
	want := "sign file:key: access to key denied: refused to sign: the signature would be valid for a file or commit, as ssh-keygen -Y signs it (sshsig file): only sshsig git is allowed"
	if !errors.Is(err, signer.ErrDenied) || !errors.Is(err, guard.ErrPurpose) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if h, ok := signer.HintOf(err); !ok || h.Do == "" || h.See == "" {
		t.Errorf("its hint is %v", h)
	}
}
