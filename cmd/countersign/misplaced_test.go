package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/internal/terminal"
	"github.com/countersign/countersign/signer/signertest"
)

// keyForms returns a key in the forms that people paste, each with the parts that
// must not show. With -short it leaves out those in base64.
func keyForms(t *testing.T) map[string][]string {
	t.Helper()
	key := signertest.NewKey(t)
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(block))
	all := []string{hex.EncodeToString(key.Seed()), text}
	if !testing.Short() {
		all = append(all, base64.StdEncoding.EncodeToString(key.Seed()), base64.RawURLEncoding.EncodeToString(key), base64.StdEncoding.EncodeToString([]byte(text)))
	}
	forms := map[string][]string{}
	for _, form := range all {
		forms[form] = parts(form)
	}
	return forms
}

// parts returns every piece of 16 characters of the lines of key.
func parts(key string) []string {
	var all []string
	for line := range strings.Lines(strings.ToLower(key)) {
		line = strings.TrimSpace(line)
		for i := 0; i+16 <= len(line) && !strings.HasPrefix(line, "-----"); i++ {
			all = append(all, line[i:i+16])
		}
	}
	return all
}

// runHere runs the command in this process and returns its output.
func runHere(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &out, terminal: terminal.New(&out)}
	a.execute(t.Context(), args)
	return out.String()
}

// commandLines returns command lines with KEY in every position: each argument, one
// argument too many, each subcommand, and the value and the name of each flag.
func commandLines(cmd *cobra.Command, path []string) (lines [][]string) {
	words := strings.Fields(cmd.Use)[1:]
	words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "<") })
	var args []string
	for _, word := range words {
		args = append(args, map[string]string{"URL": "http://127.0.0.1:1", "REF": "env:ABSENT", "FROM": "env:ABSENT", "TO": "file:absent"}[strings.Trim(word, "[].")])
	}
	for i := range len(args) + 1 {
		for _, planted := range []string{"KEY", "env:KEY", "file:KEY", "keyring:KEY", "https://KEY", "http://127.0.0.1:1/KEY", "KEY.pem"} {
			with := slices.Clone(args[:i])
			with = append(with, planted)
			if i < len(args) {
				with = append(with, args[i+1:]...)
			}
			lines = append(lines, slices.Concat(path, with))
		}
	}
	flag := func(f *pflag.Flag) {
		lines = append(lines, slices.Concat(path, args, []string{"--" + f.Name + "=KEY"}), slices.Concat(path, args, []string{"--" + f.Name + "KEY"}))
		if f.Shorthand != "" {
			lines = append(lines, slices.Concat(path, args, []string{"-" + f.Shorthand + "KEY"}))
		}
		if f.Name == "key" {
			lines = append(lines, slices.Concat(path, args, []string{"--key=env:KEY"}), slices.Concat(path, args, []string{"--key=file:KEY"}))
		}
	}
	cmd.LocalFlags().VisitAll(flag)
	cmd.InheritedFlags().VisitAll(flag)
	lines = append(lines, slices.Concat(path, args, []string{"--KEY"}), slices.Concat(path, args, []string{"-KEY"}))
	for _, sub := range cmd.Commands() {
		lines = append(lines, commandLines(sub, append(slices.Clip(path), sub.Name()))...)
	}
	return lines
}

// TestMisplacedKeyIsNotRepeated plants a key in every position of the command line.
func TestMisplacedKeyIsNotRepeated(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	root := new(app).root()
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	lines := commandLines(root, nil)
	for key, parts := range keyForms(t) {
		for _, line := range lines {
			if slices.Contains(line, "demo") && !strings.Contains(fmt.Sprint(line), "KEY]") {
				continue
			}
			var args []string
			for _, word := range line {
				args = append(args, strings.ReplaceAll(word, "KEY", key))
			}
			checkHidden(t, line, runHere(t, "x", args...), parts)
			if split := strings.Fields(key); len(split) > 1 && slices.Contains(line, "KEY") { // a shell without quotes
				i := slices.Index(line, "KEY")
				checkHidden(t, line, runHere(t, "x", slices.Concat(line[:i], split, line[i+1:])...), parts)
			}
		}
	}
	if len(lines) < 300 {
		t.Errorf("only %d command lines", len(lines))
	}
}

// TestMisplacedKeyInVariableIsNotRepeated plants a key in the variables that name
// the key and the configuration file.
func TestMisplacedKeyInVariableIsNotRepeated(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("HOME", t.TempDir())
	for key, parts := range keyForms(t) {
		for _, variable := range []string{"COUNTERSIGN_KEY", "COUNTERSIGN_CONFIG"} {
			for _, planted := range []string{key, "env:" + key, "file:" + key, "/" + key, "env:" + key + "\n"} {
				t.Setenv("COUNTERSIGN_KEY", "")
				t.Setenv("COUNTERSIGN_CONFIG", "")
				t.Setenv(variable, planted)
				for name, line := range everyCommand {
					if name == "demo" {
						continue
					}
					args := strings.Fields(strings.ReplaceAll(line, "URL", "http://127.0.0.1:1"))
					checkHidden(t, append([]string{variable}, args...), runHere(t, "POST,/api/me?ts=1700000000", args...), parts)
				}
			}
		}
	}
}

// checkHidden wants none of parts in the output of a command.
func checkHidden(t *testing.T, line []string, output string, parts []string) {
	t.Helper()
	output = strings.ToLower(output)
	for _, part := range parts {
		if strings.Contains(output, part) {
			t.Errorf("%q repeats the key:\n%s", line, output)
			return
		}
	}
}
