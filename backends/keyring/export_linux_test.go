package keyring

import (
	"context"

	"github.com/99designs/keyring"
)

// LibraryGet reads an item as 99designs/keyring does, prompt and all, with
// nothing around it but what bounds every call.
func LibraryGet(ctx context.Context, b *Backend, name string) error {
	_, err := run(ctx, b, func(context.Context) (keyring.Item, error) {
		k, err := open99(SecretService, keyring.Config{LibSecretCollectionName: "login"})
		if err != nil {
			return keyring.Item{}, err
		}
		return k.Get("countersign:" + name)
	})
	return err
}
