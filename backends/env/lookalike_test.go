package env_test

import (
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/env"
	"github.com/countersign/countersign/signer/signertest"
)

// TestLookAlikes puts a character that only looks right into a key, in a variable and
// in a file. The error names it with its place, tells the remedy, and repeats nothing
// of the key.
func TestLookAlikes(t *testing.T) {
	block, err := ssh.MarshalPrivateKey(signertest.NewKey(t), "")
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(block))
	body := strings.Split(key, "\n")[1]
	for name, tt := range map[string]struct{ text, want string }{
		"no-break space in BEGIN":   {strings.Replace(key, "BEGIN ", "BEGIN\u00a0", 1), "character 11 of line 1 is U+00A0, no-break space"},
		"non-breaking hyphen":       {strings.Replace(key, "-", "\u2011", 1), "character 1 of line 1 is U+2011, non-breaking hyphen"},
		"en dashes":                 {strings.ReplaceAll(key, "-----", "\u2013\u2013\u2013"), "character 1 of line 1 is U+2013, en dash"},
		"zero width space":          {strings.Replace(key, body, body[:9]+"\u200b"+body[9:], 1), "character 10 of line 2 is U+200B, zero width space"},
		"Cyrillic letter":           {strings.Replace(key, body, "\u0410"+body[1:], 1), "character 1 of line 2 is U+0410"},
		"fullwidth letter":          {strings.Replace(key, body, "\uff21"+body[1:], 1), "character 1 of line 2 is U+FF21"},
		"quotes of a text program":  {"\u201c" + strings.Repeat("5d", 32) + "\u201d", "character 1 of line 1 is U+201C, left double quotation mark"},
		"minus sign in base64":      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b3\u2212", "character 44 of line 1 is U+2212, minus sign"},
		"no-break space in the hex": {strings.Repeat("5d", 16) + "\u00a0" + strings.Repeat("5d", 16), "character 33 of line 1 is U+00A0, no-break space"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			t.Setenv("TEST_KEY", tt.text)
			_, inVariable := new(env.Backend).Open(t.Context(), "TEST_KEY")
			clean(t)
			t.Setenv("TEST_KEY_FILE", writeFile(t, filepath.Join(t.TempDir(), "key"), tt.text))
			_, inFile := new(env.Backend).Open(t.Context(), "TEST_KEY")
			for _, err := range []error{inVariable, inFile} {
				checkError(t, err, nil, tt.want, "copy the key again as plain text")
				if strings.Contains(err.Error(), body[:8]) || strings.Contains(err.Error(), "5d5d") {
					t.Errorf("the error repeats the key: %v", err)
				}
			}
		})
	}
}
