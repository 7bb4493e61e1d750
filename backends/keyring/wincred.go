package keyring

import (
	"github.com/99designs/keyring"

	"github.com/countersign/countersign/signer"
)

// maxBlob is CRED_MAX_CREDENTIAL_BLOB_SIZE of wincred.h, 5*512 bytes. An RSA key
// of 3072 bits in OpenSSH's format just fits.
const maxBlob = 2560

// A winCred is the Credential Manager. It checks the size of an item, because
// Windows only says that the "parameter is incorrect".
type winCred struct{ keyring.Keyring }

func openWinCred() (items, error) {
	// The credential "countersign:key:NAME", as the Credential Manager shows it.
	k, err := open99(WinCred, keyring.Config{WinCredPrefix: "countersign", ServiceName: "key"})
	return winCred{k}, err
}

func (w winCred) Set(item keyring.Item) error {
	if len(item.Data) > maxBlob {
		return explain(signer.ErrUnsupported, WinCred, "windows-size", "the key has %d bytes and a Windows credential holds at most %d", len(item.Data), maxBlob)
	}
	return w.Keyring.Set(item)
}
