package signer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/signer"
)

func TestCheckName(t *testing.T) {
	const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60" // RFC 8032, section 7.1
	const maxBytes = 130
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
		{"/Users/Me/Keys/Countersign/Work/ided2551900", true}, // all in one alphabet
		{"COUNTERSIGN0PRODUCTION0REGISTRY0SIGNING0KEY", true}, // no lower case
		{"countersign0production0registry0signing0ke0", true}, // no upper case
		{"CountersignProductionRegistrySigningKeyNamA", true}, // no digits
		{"MyVeryLongKeyNameForTheProductionRegistry13", true}, // base64 does not end so
		{seed + ".pem", true},
		{strings.Repeat("a", maxBytes), true},
		{"", false},
		{strings.Repeat("a", maxBytes+1), false},
		{"two\nlines", false},
		{"bell\a", false},
		{"\xff", false},
		{seed, false},
		{strings.ToUpper(seed), false},
		{"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", false},
		{"/WGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", false}, // no path ends so
		{"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", false},
		{seed + seed, false},
		{"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2CdYbGd7/1aYLqESvSS7CzEREnFaXsyaRlwO6wDHK5/YA==", false}, // 64 bytes
		{"-----BEGIN OPENSSH PRIVATE KEY-----", false},
		{"LS0tLS1CRUdJTiBPUEVOU1NI", false},
	}
	for _, tt := range tests {
		err := signer.CheckName(tt.name, maxBytes)
		if tt.ok != (err == nil) {
			t.Errorf("CheckName(%q) = %v", tt.name, err)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, signer.ErrName) {
			t.Errorf("CheckName(%q) = %v, want ErrName", tt.name, err)
		}
		if tt.name != "" && strings.Contains(err.Error(), tt.name) {
			t.Errorf("CheckName(%q) repeats the name: %v", tt.name, err)
		}
	}
}

func TestCheckReference(t *testing.T) {
	for ref, ok := range map[string]bool{
		"env:OLLAMA_KEY":     true,
		"env:":               true,
		"mine:any/name":      true, // the scheme of a program's own backend
		"OLLAMA_KEY":         false,
		"":                   false,
		"C:\\key":            false,
		"env:two\nlines":     false,
		"env:bad UTF-8 \xff": false,
		"env:-----BEGIN OPENSSH PRIVATE KEY-----":                               false,
		"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60:":     false,
		"mine:9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60": false,
		"env:" + strings.Repeat("a", 101):                                       false,
	} {
		err := signer.CheckReference(ref, 100)
		if ok != (err == nil) || err != nil && !errors.Is(err, signer.ErrName) {
			t.Errorf("CheckReference(%q) = %v", ref, err)
		}
		if err != nil && len(ref) > 12 && strings.Contains(err.Error(), ref) {
			t.Errorf("CheckReference(%q) repeats the reference: %v", ref, err)
		}
	}
}
