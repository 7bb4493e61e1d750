package conformance

import "crypto"

// FindSecret returns a text for each of values that prints the private half of key,
// by itself or in a value that it points to. It reports false if it does not know
// the secret of a key of that type.
func FindSecret(key crypto.Signer, values ...any) (found []string, ok bool) {
	secrets := secretForms(key)
	for _, v := range values {
		if where := find(v, secrets); where != "" {
			found = append(found, where)
		}
	}
	return found, len(secrets) > 0
}
