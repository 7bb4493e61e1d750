package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/printable"
)

// testdata/bad.txtar holds files, each followed by what is said of it.
func TestBadFiles(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/bad.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := archive.Files
	for ; len(files) >= 2; files = files[2:] {
		file, want := files[0], files[1]
		t.Run(file.Name, func(t *testing.T) {
			_, err := config.Parse(file.Data, "config.toml")
			if err == nil {
				t.Fatal("no error")
			}
			if e, ok := errors.AsType[*config.Error](err); !ok || e.File != "config.toml" || e.Line < 1 {
				t.Errorf("got %#v, want a *config.Error", err)
			}
			if got := err.Error() + "\n"; got != string(want.Data) {
				t.Errorf("got\n%swant\n%s", got, want.Data)
				want.Data = []byte(got)
			}
		})
		files[1] = want
	}
	if t.Failed() && os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("testdata/bad.txtar", txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing in a file, and no name of a file, writes to the terminal through an
// error or an explanation.
func TestErrorsArePrintable(t *testing.T) {
	const evil = `\u001b[31m\u202e\u009b`
	name := "\x1b[31m\u202e.toml"
	for _, text := range []string{
		`"` + evil + `" = 1`,
		`"` + evil + "\" = 1\n\"" + evil + `" = 2`,
		`["` + evil + "\"]\n[\"" + evil + `"]`,
		`"` + evil + "\" = 1\n[\"" + evil + `"]`,
		`"` + evil + "\".a = 1\n[\"" + evil + `"]`,
		`platform."` + evil + `".keys = ["env:A"]`,
		`registry."` + evil + `".keys = ["env:A"]`,
		`keyring.stores = ["` + evil + `"]`,
		`keys = ["` + evil + `:x", "env:` + evil + `"]`,
		"[registry.h]\nrealms = [\"" + evil + `"]`,
		"[\u202e]",
		"a = \u202e\u001b",
		"\x1b[31m",
	} {
		_, err := config.Parse([]byte(text), name)
		for line := range strings.Lines(fmt.Sprint(err)) {
			if line = strings.TrimSuffix(line, "\n"); err == nil || !printable.IsSafe(line) {
				t.Errorf("%q: %q", text, line)
			}
		}
	}
	c, err := config.Parse([]byte(`keys = ["file:\u202e"]`), name)
	if err != nil {
		t.Fatal(err)
	}
	_, e, _ := c.Choose(config.Query{}).Open(t.Context(), c.Backends())
	if got := e.Tried[0].String(); !printable.IsSafe(got) {
		t.Errorf("%q", got)
	}
	path := filepath.Join(t.TempDir(), name)
	if _, err := config.ReadFile(path); err == nil || !printable.IsSafe(err.Error()) {
		t.Errorf("an absent file: %q", err)
	}
}

// A file with many mistakes is not read to its end, and its error is short.
func TestManyMistakes(t *testing.T) {
	const count = 80_000
	for name, text := range map[string]string{
		"unknown keys":      numbered("k%d = 1\n", count),
		"unknown sections":  numbered("[k%d]\n", count),
		"inline table":      "platform = {" + numbered("k%d = 1, ", count) + "k = 1}",
		"list":              "keys = [" + strings.Repeat("1,", count) + "]",
		"sections of lists": strings.Repeat("[[registry]]\n", count),
	} {
		_, err := config.Parse([]byte(text), "config.toml")
		lines := strings.Split(fmt.Sprint(err), "\n")
		if len(lines) != 21 || !strings.Contains(lines[20], "that is mistake 20: the rest of the file was not checked") {
			t.Errorf("%s: %d lines, the last is %q", name, len(lines), lines[len(lines)-1])
		}
	}
	c, err := config.Parse([]byte("keys = ["+numbered("\"keyrng:k%d\",\n", count)+"]"), "config.toml")
	if err != nil {
		t.Fatal(err)
	}
	err = c.CheckSchemes(c.Backends().Mux())
	if got := strings.Count(fmt.Sprint(err), "\n"); got != 20 {
		t.Errorf("misspelt schemes: %d lines", got+1)
	}
}

// A long file without a mistake is read.
func TestLongFiles(t *testing.T) {
	const count = 20_000
	for name, text := range map[string]string{
		"sections": numbered("[registry.r%d]\nkeys = [\"env:A\"]\n", count),
		"list":     "keys = [" + strings.Repeat("\"env:A\",\n", count) + "]",
		"comments": strings.Repeat("# nothing\n", count) + "keys = [\"env:A\"]",
		"one line": "#" + strings.Repeat("x", 50*count) + "\nkeys = [\"env:A\"]",
	} {
		if _, err := config.Parse([]byte(text), "config.toml"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := config.Parse([]byte(numbered("[registry.r%d]\n", count)+"[registry.r7]\n"), "config.toml")
	if want := fmt.Sprintf("config.toml:%d: not TOML: table r7 already exists", count+1); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// numbered repeats the format with the numbers below n.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// Whatever is pasted where a reference or the name of something belongs, errors
// do not repeat it if it may be a key.
func TestErrorsRepeatNoKey(t *testing.T) {
	const seed = "q6sVrn4BNZWvXiRPXOLFHZe3L0mcc0wbFWHWnDqFGzw"
	for _, text := range []string{
		`keys = ["` + seed + `"]`,
		`keys = ["` + seed + `:x"]`,
		`keys = ["env:` + seed + `"]`,
		`keys = ["env:` + seed + `="]`,
		`keys = "` + seed + `"`,
		`keys = """-----BEGIN OPENSSH PRIVATE KEY-----` + "\n" + seed + `"""`,
		`keys = ["env:-----BEGIN OPENSSH PRIVATE KEY-----\n` + seed + `"]`,
		seed + ` = "x"`,
		`keyring.` + seed + ` = "x"`,
		`[` + seed + `]`,
		`[platform.` + seed + `]`,
		`[platform."linux/` + seed + `"]`,
		`[registry."https://` + seed + `"]`,
		`[registry."` + seed + `/"]`,
		"[registry.h]\nrealms = [\"" + seed + `/x"]`,
		"[registry.h]\nrealms = [\"https://user:" + seed + `@x"]`,
		`keyring.stores = ["` + seed + `"]`,
		`keyring.timeout = "` + seed + `"`,
		`file.passphrase = "` + seed + `"`,
		`file.passphrase = "keyring:` + seed + `"`,
		`file.passphrase = ["` + seed + `"]`,
		`file.folder = "` + seed + `"`,
	} {
		_, err := config.Parse([]byte(text), "config.toml")
		if err == nil || strings.Contains(strings.ToLower(err.Error()), strings.ToLower(seed[:20])) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestGoodFiles(t *testing.T) {
	for name, text := range map[string]string{
		"empty":              "",
		"comment":            "# nothing yet",
		"byte order mark":    "\ufeffkeys = [\"env:A\"]",
		"UTF-16":             "\xff\xfek\x00e\x00y\x00s\x00=\x00[\x00'\x00e\x00n\x00v\x00:\x00A\x00'\x00]\x00",
		"CRLF":               "keys = [\r\n\"env:A\",\r\n]\r\n[platform.linux]\r\n",
		"headers only":       "[platform]\n[platform.linux]\n[registry]\n[keyring]",
		"dotted":             "registry.\"h:5000\".keys = [\"env:A\"]\nregistry.\"h:5000\".insecure = true",
		"inline":             "platform = {linux = {keys = [\"env:A\"]}, \"darwin/arm64\" = {keys = [\"env:B\"]}}",
		"no realms":          "[registry.\"hf.co\"]\nrealms = []",
		"no stores":          "[keyring]\nstores = []",
		"keyring":            "[keyring]\nstores = [\"secret-service\", \"kwallet\", \"keyctl\", \"keychain\", \"wincred\", \"pass\"]\ntimeout = \"1500ms\"\nprompt_timeout = \"2m\"",
		"Windows path":       `keys = ['file:C:\Users\me\key']`,
		"key files":          "[file]\nfolder = \"/var/lib/keys\"\npassphrase = \"keyring:key-files\"",
		"folder in the home": "file.folder = \"~/keys\"",
		"the home":           "file.folder = \"~\"",
		"Windows folder":     `file.folder = 'C:\Users\me\keys'`,
		"Windows share":      `file.folder = '\\server\keys'`,
		"realm with a slash": "[registry.h]\nrealms = [\"https://login.example.com:8443/\", \"login.example.com\"]",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := config.Parse([]byte(text), "config.toml"); err != nil {
				t.Error(err)
			}
		})
	}
}
