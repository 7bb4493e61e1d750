package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/signer"
)

func TestBackends(t *testing.T) {
	type settings struct {
		Stores        []keyring.Store
		Timeout, Wait time.Duration
	}
	for text, want := range map[string]settings{
		"":                       {},
		"[keyring]":              {},
		"[keyring]\nstores = []": {Stores: []keyring.Store{}},
		"[keyring]\nstores = [\"pass\", \"keyctl\"]\ntimeout = \"1500ms\"\nprompt_timeout = \"2m\"": {
			[]keyring.Store{keyring.Pass, keyring.KeyCtl}, 1500 * time.Millisecond, 2 * time.Minute,
		},
	} {
		b := parse(t, text).Backends().Keyring
		if diff := cmp.Diff(want, settings{b.Stores, b.Timeout, b.PromptTimeout}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for text, want := range map[string]string{
		"":                         "",
		"[file]":                   "",
		"[file]\nfolder = \"~/k\"": "~/k",
	} {
		b := parse(t, text).Backends().File
		if b.Dir != want || b.Passphrase != nil {
			t.Errorf("%q: the folder is %q, want %q; there is a passphrase: %t", text, b.Dir, want, b.Passphrase != nil)
		}
	}
	for text, want := range map[string]string{
		"":        "",
		"[agent]": "",
		"[agent]\nsocket = \"~/.1password/agent.sock\"":         "~/.1password/agent.sock",
		`agent.socket = '\\.\pipe\openssh-ssh-agent'`:           `\\.\pipe\openssh-ssh-agent`,
		`agent.socket = "/run/user/1000/gnupg/S.gpg-agent.ssh"`: "/run/user/1000/gnupg/S.gpg-agent.ssh",
	} {
		if got := parse(t, text).Backends().Agent.Socket; got != want {
			t.Errorf("%q: the socket is %q, want %q", text, got, want)
		}
	}
	if n := len(new(config.Config).Backends().Mux()); n < 4 {
		t.Errorf("got %d backends", n)
	}
}

// The passphrase comes from the item, in the stores that the file names.
func TestPassphraseIsTheKeychains(t *testing.T) {
	b := parse(t, "keyring.stores = []\nfile.passphrase = \"keyring:key-files\"").Backends().File
	_, err := b.Passphrase(t.Context(), "prompt")
	if !errors.Is(err, signer.ErrUnavailable) || !strings.Contains(err.Error(), "passphrase keyring:key-files: ") {
		t.Errorf("Passphrase = %v, want ErrUnavailable and the item", err)
	}
}
