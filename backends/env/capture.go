package env

import "os"

// Capture reads the variables NAME and NAME_PASSPHRASE of each name and removes
// them from the environment, also if Unset is false. The Backend remembers them and
// opens the keys as before. A program that starts other programs calls it first,
// with the names of all keys that it may use. A name that no variable can have
// is ignored.
func (b *Backend) Capture(names ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		if checkName(name) != nil {
			continue
		}
		for _, variable := range []string{name, passphraseOf(name)} {
			value, ok := os.LookupEnv(variable)
			if !ok {
				continue
			}
			if err := b.remove(variable, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func passphraseOf(name string) string { return name + "_PASSPHRASE" }
