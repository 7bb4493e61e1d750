package conformance

import "testing"

// A form of few characters would be found anywhere.
func TestFormsAreLong(t *testing.T) {
	for range 1000 {
		for _, f := range secretForms(NewKey(t)) {
			if len(f.text) < 16 {
				t.Fatalf("%s: %q", f.name, f.text)
			}
		}
	}
	for _, f := range append(secretForms(newECDSA(t)), secretForms(newRSA(t))...) {
		if len(f.text) < 16 {
			t.Fatalf("%s: %q", f.name, f.text)
		}
	}
}
