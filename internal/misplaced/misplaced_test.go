package misplaced_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/misplaced"
)

// forms returns one new key in the forms that people have keys in.
func forms(t *testing.T) map[string]string {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "me@laptop")
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(block))
	return map[string]string{
		"hex":                  hex.EncodeToString(key.Seed()),
		"HEX":                  strings.ToUpper(hex.EncodeToString(key.Seed())),
		"hex of both halves":   hex.EncodeToString(append(key.Seed(), pub...)),
		"base64":               base64.StdEncoding.EncodeToString(key.Seed()),
		"base64 of both":       base64.StdEncoding.EncodeToString(append(key.Seed(), pub...)),
		"base64url":            base64.RawURLEncoding.EncodeToString(key.Seed()),
		"PEM":                  text,
		"PEM on one line":      strings.ReplaceAll(text, "\n", " "),
		"PEM with literal \\n": strings.ReplaceAll(text, "\n", `\n`),
		"base64 of PEM":        base64.StdEncoding.EncodeToString([]byte(text)),
		"a line of PEM":        strings.Split(text, "\n")[2],
	}
}

// shows reports whether text has a part of key that is worth having, whatever the
// case.
func shows(text, key string) bool {
	text, key = strings.ToLower(text), strings.ToLower(key)
	for _, word := range strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(" \n\\-", r) }) {
		for i := 0; i+16 <= len(word); i++ {
			if strings.Contains(text, word[i:i+16]) {
				return true
			}
		}
	}
	return false
}

func TestFilter(t *testing.T) {
	for range 10 {
		for name, key := range forms(t) {
			for _, around := range []string{"KEY", "env:KEY", "https://KEY/v2/", "https://h/v2/KEY/x?KEY", "--key=KEY", "-oKEY", "user:KEY@host", "file:~/KEY", "env:xKEY", "KEYx", "env:OLLAMAKEY", "keyring:KEYandmore"} {
				arg := strings.ReplaceAll(around, "KEY", key)
				f := misplaced.NewFilter("get", arg)
				for _, message := range []string{
					"unknown command " + arg, strings.ToLower("lookup " + arg + ": no such host"), "cut: " + key[:len(key)*2/3] + "...",
				} {
					if got := f.Text(message); shows(got, key) {
						t.Errorf("%s as %s: %q", name, around, got)
					}
				}
			}
		}
	}
}

// A shell that expands $KEY without quotes makes many words of it.
func TestFilterOfSplitPEM(t *testing.T) {
	key := forms(t)["PEM"]
	args := strings.Fields(key)
	f := misplaced.NewFilter(append(args, strings.Join(args, " "))...)
	for _, arg := range args[4 : len(args)-4] {
		if got := f.Text("unknown command " + arg); shows(got, arg) {
			t.Errorf("%q", got)
		}
	}
}

// What people need to see in a message is not taken for a key.
func TestFilterKeeps(t *testing.T) {
	for _, text := range []string{
		"/tmp/TestChildrenInheritNoSecret563877371/001/store/keys/id_ed25519",
		"/home/me/Projects/Registry2/keys/Signing/production/Frankfurt1/id_ed25519",
		"https://registry.ollama.ai/v2/library/llama3/blobs/sha256:9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"/root/.ollama/models/blobs/sha256-9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"agent:SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
		"https://registry.example.com:5000/v2/organisation1/team2/model3/manifests/version4/and/more/of/it",
		"grün und blau", "", "env:OLLAMA_KEY", "c356ab21f5b7a7a23b1d2b6bd2c38e6a1b3f7d21",
	} {
		if got := misplaced.NewFilter(text).Text("open " + text + ": no such file"); got != "open "+text+": no such file" {
			t.Errorf("%q", got)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("env:9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "x")
	f.Fuzz(func(t *testing.T, arg, text string) {
		got := misplaced.NewFilter(arg).Text(text + arg)
		if strings.Contains(arg, "may be a key") || strings.Contains(text, "may be a key") {
			return
		}
		if !strings.Contains(got, "may be a key") && got != text+arg {
			t.Errorf("%q became %q", text+arg, got)
		}
	})
}
