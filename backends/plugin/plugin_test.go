package plugin_test

import (
	"context"
	"crypto"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/backends/plugin"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

func TestConformance(t *testing.T) {
	signertest.Run(t, func(t *testing.T) signertest.Store {
		b := backend(t, "files")
		return signertest.Store{
			Backend: b,
			Put: func(t *testing.T, name string, key crypto.Signer) {
				if err := files().Import(t.Context(), strings.TrimPrefix(name, "files:"), key); err != nil {
					t.Fatal(err)
				}
			},
			Name:     func(n int) string { return "files:" + strconv.Itoa(n) },
			BadNames: []string{"files", "files:", ":key", "FILES:key", "../files:key", "files:a?pin-value=12345678", "files/x:a"},
			Dir:      os.Getenv("HOME"),
		}
	})
}

func TestForgedReplies(t *testing.T) {
	for name, f := range forgeries {
		b := backend(t, name)
		_, err := b.Open(t.Context(), name+":key")
		if err == nil || !strings.Contains(err.Error(), f.says) || signer.IsAbsent(err) {
			t.Errorf("%s: error %v, want one that says %q", name, err, f.says)
		}
	}
}

func TestMisbehaviour(t *testing.T) {
	for name, says := range map[string]string{
		"exit":  "exit status 3",
		"crash": "exit status 7",
		"mute":  "empty",
		"deaf":  "empty",
		"flood": "more than 1048576 bytes",
		"long":  "more than 1048576 bytes",
	} {
		b := backend(t, name)
		_, err := b.Open(t.Context(), name+":key")
		if err == nil || !strings.Contains(err.Error(), says) || signer.IsAbsent(err) {
			t.Errorf("%s: error %v, want one that says %q", name, err, says)
		}
	}
}

func TestSignatureOfAnotherKey(t *testing.T) {
	b := backend(t, "otherkey")
	k, err := b.Open(t.Context(), "otherkey:key")
	if err != nil {
		t.Fatal(err)
	}
	if signer.IsStale(k) {
		t.Error("stale before a signature")
	}
	if sig, err := k.Sign(t.Context(), []byte("message")); err == nil || sig != nil {
		t.Errorf("Sign returned %v, %v", sig, err)
	}
	if !signer.IsStale(k) {
		t.Error("not stale after a signature of another key")
	}
}

// A plugin that does not read its request must not block a call or break it.
func TestRequestThatIsNotRead(t *testing.T) {
	b := backend(t, "good", "deaf")
	k, err := b.Open(t.Context(), "good:key")
	if err != nil {
		t.Fatal(err)
	}
	b.Programs["good"] = b.Programs["deaf"]
	if _, err := k.Sign(t.Context(), make([]byte, 1<<20)); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("Sign = %v", err)
	}
}

func TestStderr(t *testing.T) {
	for name, want := range map[string]string{
		"crash": "its program ended with exit status 7; on stderr: no reader; lines that may hold a secret are left out",
		"pin":   "on stderr: cannot log in; lines that may hold a secret are left out",
	} {
		_, err := backend(t, name).Open(t.Context(), name+":key")
		if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "9876") {
			t.Errorf("%s: %v, want the end %q", name, err, want)
		}
	}
	if _, err := backend(t, "floodserr").Open(t.Context(), "floodserr:key"); err != nil {
		t.Errorf("a flood on stderr: %v", err)
	}
}

// A plugin gets no argument, only the variables of the list, and no folder of the user.
func TestSurroundings(t *testing.T) {
	b := backend(t, "surrounded")
	t.Setenv("OLLAMA_KEY", "secret")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("STORE_CONFIG", "/etc/store")
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("PATH", strings.Join([]string{".", "relative", filepath.Dir(os.Args[0]), ""}, string(filepath.ListSeparator)))
	p := b.Programs["surrounded"]
	p.Environment = []string{"STORE_CONFIG", "NOT_SET", "PATH"}
	b.Programs["surrounded"] = p
	_, err := b.Open(t.Context(), "surrounded:key")
	if err == nil {
		t.Fatal("no error")
	}
	var seen struct {
		Args []string
		Dir  string
		Env  []string
	}
	if err := json.Unmarshal([]byte(err.Error()), &seen); err != nil {
		t.Fatalf("%v: %v", err, seen)
	}
	if len(seen.Args) != 0 || seen.Dir != "/" && len(seen.Dir) != len(`C:\`) {
		t.Errorf("arguments %q, folder %q", seen.Args, seen.Dir)
	}
	for _, v := range []string{"LANG=C.UTF-8", "STORE_CONFIG=/etc/store", "HOME=" + os.Getenv("HOME"), "PATH=" + filepath.Dir(os.Args[0])} {
		if !slices.Contains(seen.Env, v) {
			t.Errorf("the plugin does not get %s: %q", v, seen.Env)
		}
	}
	if strings.Contains(strings.Join(seen.Env, "\n"), "secret") {
		t.Errorf("the plugin gets a secret: %q", seen.Env)
	}
}

func TestErrorCodes(t *testing.T) {
	b := backend(t, "files")
	ctx := t.Context()
	if _, err := b.Open(ctx, "files:absent"); !errors.Is(err, signer.ErrNotFound) {
		t.Errorf("Open of an absent key: %v", err)
	}
	if _, err := b.Generate(ctx, "files:key"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Generate(ctx, "files:key"); !errors.Is(err, signer.ErrExists) {
		t.Errorf("Generate of a key that is there: %v", err)
	}
	path := filepath.Join(os.Getenv("HOME"), "keys", "key")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := b.Open(ctx, "files:key")
	hint, _ := signer.HintOf(err)
	if !errors.Is(err, signer.ErrDenied) || !strings.Contains(hint.Do, "chmod 600") {
		t.Errorf("Open of an open file: %v, %+v", err, hint)
	}
	if _, err := b.Open(ctx, "nosuch:key"); !errors.Is(err, signer.ErrUnavailable) || !strings.Contains(err.Error(), "countersign-backend-nosuch") {
		t.Errorf("Open with a plugin that is not there: %v", err)
	}
	g := backend(t, "good")
	if err := g.Delete(ctx, "good:key"); err != nil {
		t.Errorf("a plugin that answers delete with another result: %v", err)
	}
}

func TestFind(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("SKIPPED: needs a Unix shell: ", err)
	}
	first, second := tempDir(t), tempDir(t)
	script := func(dir, name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 1\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := script(first, "countersign-backend-one", 0o755)
	script(second, "countersign-backend-one", 0o755) // a later folder
	two := script(second, "countersign-backend-two", 0o777)
	script(first, "countersign-backend-three", 0o644)
	script(first, "countersign-backend-BAD", 0o755)
	script(first, "countersign-backend-", 0o755)
	if err := os.Mkdir(filepath.Join(first, "countersign-backend-folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(first)
	t.Setenv("PATH", strings.Join([]string{".", "", first, "/no/such/folder", second}, ":"))
	own := script(tempDir(t), "another-name", 0o755)
	b := &plugin.Backend{Programs: map[string]plugin.Program{"own": {Path: own}, "relative": {Path: "one"}, "two": {Environment: []string{"A"}}, "gone": {Path: "/no/such/program"}}}

	type found struct {
		Name, Path string
		Configured bool
		Err        string
	}
	var got []found
	for _, f := range b.Find() {
		kind := ""
		for _, k := range []error{signer.ErrInsecure, signer.ErrUnavailable, signer.ErrDenied} {
			if errors.Is(f.Err, k) {
				kind = k.Error()
			}
		}
		got = append(got, found{f.Name, f.Path, f.Configured, kind})
	}
	want := []found{
		{"gone", "/no/such/program", true, signer.ErrUnavailable.Error()},
		{"one", one, false, ""},
		{"own", own, true, ""},
		{"relative", "one", true, signer.ErrUnavailable.Error()},
		{"two", two, false, signer.ErrInsecure.Error()},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plugins differ (-want +got):\n%s", diff)
	}
	if _, err := b.Open(t.Context(), "two:key"); !errors.Is(err, signer.ErrInsecure) {
		t.Errorf("a program that others can write was started: %v", err)
	}
	if err := os.Chmod(first, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(t.Context(), "one:key"); !errors.Is(err, signer.ErrInsecure) {
		t.Errorf("a program in a folder that others can write was started: %v", err)
	}
}

func TestList(t *testing.T) {
	b := backend(t, "files", "good", "crash")
	if _, err := b.Generate(t.Context(), "files:b"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Generate(t.Context(), "files:a"); err != nil {
		t.Fatal(err)
	}
	infos, err := b.List(t.Context())
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	if diff := cmp.Diff([]string{"files:a", "files:b"}, names); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}
	if err == nil || !strings.Contains(err.Error(), "plugin crash") {
		t.Errorf("List = %v, want the error of the plugin that crashed", err)
	}
}

func TestDescribe(t *testing.T) {
	got, err := backend(t, "files").Describe(t.Context(), "files")
	want := plugin.Description{Name: "key files", Ops: []string{"describe", "public", "sign", "list", "generate", "delete"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v; the description differs (-want +got):\n%s", err, diff)
	}
	for _, name := range []string{"", "a b", "../x"} {
		if _, err := new(plugin.Backend).Describe(t.Context(), name); !errors.Is(err, signer.ErrName) {
			t.Errorf("Describe(%q) = %v", name, err)
		}
	}
}

// lockedKey makes a key file with the passphrase "right".
func lockedKey(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(os.Getenv("HOME"), "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(signertest.NewKey(t), "", []byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), "keys", "locked"), pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPassphrase(t *testing.T) {
	b := backend(t, "files")
	lockedKey(t)
	k, err := b.Open(t.Context(), "files:locked")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(t.Context(), nil); !errors.Is(err, signer.ErrLocked) {
		t.Errorf("with nobody to ask: %v", err)
	}
	var prompts []string
	answer := "wrong"
	b.Passphrase = func(_ context.Context, prompt string) ([]byte, error) {
		prompts = append(prompts, prompt)
		return []byte(answer), nil
	}
	if _, err := k.Sign(signer.WithoutPrompt(t.Context()), nil); !errors.Is(err, signer.ErrLocked) || len(prompts) > 0 {
		t.Errorf("in the background: %v, %q", err, prompts)
	}
	for _, repeated := range []bool{false, true} {
		_, err := k.Sign(t.Context(), nil)
		if !errors.Is(err, signer.ErrDenied) || strings.Contains(err.Error(), "was refused before") != repeated {
			t.Errorf("a wrong answer, repeated %t: %v", repeated, err)
		}
	}
	answer = "right"
	before := len(prompts)
	for range 3 {
		if _, err := k.Sign(t.Context(), []byte("message")); err != nil {
			t.Errorf("a right answer: %v", err)
		}
	}
	if len(prompts) != before+1 || !strings.Contains(prompts[before], "plugin files") {
		t.Errorf("asked %q", prompts)
	}
	if _, err := k.Sign(signer.WithoutPrompt(t.Context()), nil); err != nil {
		t.Errorf("in the background, with the answer known: %v", err)
	}
}
