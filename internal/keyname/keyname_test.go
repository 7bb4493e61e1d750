package keyname_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/keyname"
	"github.com/countersign/countersign/signer"
)

func TestCheck(t *testing.T) {
	const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60" // RFC 8032, section 7.1
	tests := []struct {
		name string
		ok   bool
	}{
		{"OLLAMA_KEY", true},
		{"~/.ollama/id_ed25519", true},
		{"SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg", true}, // a fingerprint
		{"Schlüssel für zu Hause", true},
		{strings.Repeat("a", 70), true},
		{"COUNTERSIGN_PRODUCTION_REGISTRY_SIGNING_KEY", true}, // 43 characters of base64
		{"/tmp/countersign-demo-0123456789/id_ed25519", true},
		{"/Users/Me/Keys/Countersign/Work/id_ed255190", true},
		{"", false},
		{strings.Repeat("a", 101), false},
		{"two\nlines", false},
		{"bell\a", false},
		{"\xff", false},
		{seed, false},
		{strings.ToUpper(seed), false},
		{"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", false},
		{"/WGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", false}, // no path ends so
		{"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", false},
		{seed + seed, false},
		{"-----BEGIN OPENSSH PRIVATE KEY-----", false},
		{"LS0tLS1CRUdJTiBPUEVOU1NI", false},
	}
	for _, tt := range tests {
		err := keyname.Check(tt.name, 100)
		if tt.ok != (err == nil) {
			t.Errorf("Check(%q) = %v", tt.name, err)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, signer.ErrName) {
			t.Errorf("Check(%q) = %v, want ErrName", tt.name, err)
		}
		if tt.name != "" && strings.Contains(err.Error(), tt.name) {
			t.Errorf("Check(%q) repeats the name: %v", tt.name, err)
		}
	}
}

func TestCheckReference(t *testing.T) {
	known := signer.Mux{"env": nil}
	for ref, ok := range map[string]bool{
		"env:OLLAMA_KEY": true,
		"env:":           true,
		"OLLAMA_KEY":     false,
		"file:key":       false,
		"env:two\nlines": false,
		"env:-----BEGIN OPENSSH PRIVATE KEY-----": false,
	} {
		if err := keyname.CheckReference(known, ref, 100); ok != (err == nil) || err != nil && !errors.Is(err, signer.ErrName) {
			t.Errorf("CheckReference(%q) = %v", ref, err)
		}
	}
}
