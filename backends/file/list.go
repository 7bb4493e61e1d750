package file

import (
	"context"
	"fmt"
	"os"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// List describes the private keys in Dir, but not those in folders below it. It
// asks for no passphrase. It lists also the keys that Open would refuse, because they
// are damaged or readable by others, and leaves out the files that it cannot read. If
// the folder does not exist, the list is empty.
func (b *Backend) List(ctx context.Context) ([]signer.Info, error) {
	if err := ctx.Err(); err != nil || b.Dir == "" {
		return nil, err
	}
	dir, err := b.dir()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	switch {
	case keyfile.IsMissing(err):
		return nil, nil
	case err == nil && !info.IsDir():
		err := fmt.Errorf("the key folder %s is a file", printable.Text(dir))
		return nil, signer.WithHint(err, signer.Hint{Do: "name the folder that contains it", See: "configuration#file"})
	}
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("key folder: %w", denied(err))
	}
	var infos []signer.Info
	for _, e := range entries {
		path, err := b.locate(ctx, e.Name())
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || isTemp(e.Name()) {
			continue
		}
		if info, ok := describe(ctx, path); ok {
			info.Name = e.Name()
			infos = append(infos, info)
		}
	}
	return infos, nil
}

// describe describes the private key at path without using its passphrase.
func describe(ctx context.Context, path string) (info signer.Info, ok bool) {
	data, _, err := keyfile.Read(path)
	if err != nil {
		return signer.Info{}, false
	}
	if data, _ = keyfile.PEM(data); !isPrivate(data) {
		return signer.Info{}, false
	}
	if s, err := signer.Parse(ctx, data, nil); err == nil {
		info.PublicKey = s.PublicKey()
	}
	pub, comment, err := readPublic(path + ".pub")
	if err != nil || info.PublicKey != nil && !signer.SameKey(pub, info.PublicKey) {
		return info, true // as if there were no .pub
	}
	info.PublicKey = pub
	if keyfile.CheckComment(comment) == nil {
		info.Comment = comment
	}
	return info, true
}
