package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// List describes the private keys in Dir, but not those in folders below it. It
// asks for no passphrase. What Open would refuse is listed too, as a key that
// is damaged or readable by others; what cannot be read is not. There are none
// where there is no such folder.
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
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // ENOTDIR: a service's home is /dev/null
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

// describe tells what it can of the private key at path without its passphrase.
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
