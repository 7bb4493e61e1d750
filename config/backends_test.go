package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/config"
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
		b := parse(t, text).Backends()["keyring"].(*keyring.Backend)
		if diff := cmp.Diff(want, settings{b.Stores, b.Timeout, b.PromptTimeout}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	if n := len(new(config.Config).Backends()); n < 3 {
		t.Errorf("got %d backends", n)
	}
}
