package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/countersign/countersign/backends/plugin/pluginmain"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// proxies are the places of p11-kit's module, which offers all modules that are
// registered on the system.
var proxies = []string{
	"/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so", "/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so",
	"/usr/lib64/p11-kit-proxy.so", "/usr/lib/p11-kit-proxy.so", "/usr/local/lib/p11-kit-proxy.so",
	"/opt/homebrew/lib/p11-kit-proxy.dylib", "/usr/local/lib/p11-kit-proxy.dylib",
}

// findModule returns the path of the module to load.
func findModule(paths ...string) (string, error) {
	for _, path := range paths {
		if path != "" {
			return path, nil
		}
	}
	for _, path := range proxies {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	err := fmt.Errorf("%w: no PKCS #11 module is named", signer.ErrUnavailable)
	return "", signer.WithHint(err, signer.Hint{
		Do: "add ?module-path=/PATH to the key, or set " + moduleVariable + " and name it in the configuration: [plugin.pkcs11] environment = [\"" + moduleVariable + "\"]",
	})
}

// loadModule loads a module. The program ends after one call, so nothing unloads it.
func loadModule(path string) (*pkcs11.Ctx, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: the path of the PKCS #11 module is not absolute", signer.ErrUnavailable)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: the PKCS #11 module: %w", signer.ErrUnavailable, printable.Error(err))
	}
	if err := access.CheckWriters("PKCS #11 module", path); err != nil {
		return nil, err
	}
	module := pkcs11.New(path)
	if module == nil {
		return nil, fmt.Errorf("%w: %s is no PKCS #11 module for this processor", signer.ErrUnavailable, printable.Text(path))
	}
	if err := module.Initialize(); err != nil && !is(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return nil, fmt.Errorf("%w: the PKCS #11 module %s: %w", signer.ErrUnavailable, printable.Text(path), err)
	}
	return module, nil
}

func is(err error, code uint) bool {
	e, ok := errors.AsType[pkcs11.Error](err)
	return ok && uint(e) == code
}

// A token is a token with an open session. A session does one thing at a time, and so
// does this program.
type token struct {
	*pkcs11.Ctx
	slot     uint
	info     pkcs11.TokenInfo
	label    string
	session  pkcs11.SessionHandle
	loggedIn bool
}

// tokens returns the tokens that u matches, without sessions.
func tokens(module *pkcs11.Ctx, u keyURI) ([]*token, error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return nil, fmt.Errorf("%w: listing the tokens: %w", signer.ErrUnavailable, err)
	}
	var found []*token
	for _, slot := range slots {
		info, err := module.GetTokenInfo(slot)
		if err != nil || info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue // the token was removed, or is empty
		}
		t := &token{Ctx: module, slot: slot, info: info, label: trim(info.Label)}
		if u.slot != nil && *u.slot != slot {
			continue
		}
		if matches(u.token, info.Label) && matches(u.serial, info.SerialNumber) && matches(u.manufacturer, info.ManufacturerID) && matches(u.model, info.Model) {
			found = append(found, t)
		}
	}
	return found, nil
}

// trim removes the padding that PKCS #11 has at the end of texts.
func trim(s string) string { return strings.TrimRight(s, " \x00") }

func matches(want, have string) bool { return want == "" || want == trim(have) }

// openToken opens a session with the only token that u matches.
func openToken(module *pkcs11.Ctx, u keyURI, writes bool) (*token, error) {
	found, err := tokens(module, u)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		err := fmt.Errorf("%w: no token matches", signer.ErrUnavailable)
		return nil, signer.WithHint(err, signer.Hint{Do: "plug it in; pkcs11-tool --list-slots shows the tokens of a module"})
	case 1:
		return found[0], found[0].open(writes)
	}
	var labels []string
	for _, t := range found {
		labels = append(labels, "token="+escape(t.label)+";serial="+escape(trim(t.info.SerialNumber)))
	}
	err = fmt.Errorf("%d tokens match: %s", len(found), strings.Join(labels, ", "))
	return nil, signer.WithHint(err, signer.Hint{Do: "name one of them in the key"})
}

func (t *token) open(writes bool) error {
	flags := uint(pkcs11.CKF_SERIAL_SESSION)
	if writes {
		flags |= pkcs11.CKF_RW_SESSION
	}
	var err error
	if t.session, err = t.OpenSession(t.slot, flags); err != nil {
		return t.failed("opening a session", err)
	}
	return nil
}

func (t *token) failed(action string, err error) error {
	kind := error(nil)
	switch {
	case is(err, pkcs11.CKR_TOKEN_NOT_PRESENT), is(err, pkcs11.CKR_DEVICE_REMOVED):
		kind = signer.ErrUnavailable
	case is(err, pkcs11.CKR_MECHANISM_INVALID), is(err, pkcs11.CKR_FUNCTION_NOT_SUPPORTED), is(err, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED),
		is(err, pkcs11.CKR_TOKEN_WRITE_PROTECTED), is(err, pkcs11.CKR_ATTRIBUTE_VALUE_INVALID), is(err, pkcs11.CKR_DOMAIN_PARAMS_INVALID):
		kind = signer.ErrUnsupported
	case is(err, pkcs11.CKR_FUNCTION_CANCELED), is(err, pkcs11.CKR_FUNCTION_REJECTED), is(err, pkcs11.CKR_ACTION_PROHIBITED):
		kind = signer.ErrDenied
	case is(err, pkcs11.CKR_USER_NOT_LOGGED_IN):
		kind = signer.ErrLocked
	default:
		return fmt.Errorf("token %s: %s: %w", printable.Text(t.label), action, err)
	}
	return fmt.Errorf("%w: token %s: %s: %w", kind, printable.Text(t.label), action, err)
}

// login logs in with the PIN, once. Tokens lock themselves after a few wrong PINs, so a
// PIN is never tried again.
func (t *token) login(ctx context.Context, u keyURI) error {
	if t.loggedIn || t.info.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0 {
		return nil
	}
	pin, err := t.pin(ctx, u)
	if err != nil {
		return err
	}
	err = t.Login(t.session, pkcs11.CKU_USER, pin)
	if err == nil || is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		t.loggedIn = true
		return nil
	}
	return t.loginError(err)
}

func (t *token) loginError(err error) error {
	label := printable.Text(t.label)
	switch {
	case is(err, pkcs11.CKR_PIN_INCORRECT), is(err, pkcs11.CKR_PIN_INVALID), is(err, pkcs11.CKR_PIN_LEN_RANGE):
		return fmt.Errorf("%w: the PIN of token %s is wrong", signer.ErrDenied, label)
	case is(err, pkcs11.CKR_PIN_LOCKED):
		err := fmt.Errorf("%w: the PIN of token %s is locked after wrong PINs", signer.ErrDenied, label)
		return signer.WithHint(err, signer.Hint{Do: "set a new PIN as the token's security officer: pkcs11-tool --login --login-type so --init-pin"})
	case is(err, pkcs11.CKR_PIN_EXPIRED), is(err, pkcs11.CKR_USER_PIN_NOT_INITIALIZED):
		return fmt.Errorf("%w: token %s needs a new PIN", signer.ErrDenied, label)
	}
	return t.failed("logging in", err)
}

// pin returns the PIN from the file of the URI or from countersign. A file cannot tell
// that its PIN was wrong the last time, so it is not tried after a wrong PIN.
func (t *token) pin(ctx context.Context, u keyURI) (string, error) {
	label, flags := printable.Text(t.label), t.info.Flags
	switch {
	case flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return "", t.loginError(pkcs11.Error(pkcs11.CKR_PIN_LOCKED))
	case flags&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH != 0:
		return "", t.checkPerson(ctx) // a person types the PIN at the device
	case u.pinFile == "" && flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0, u.pinFile != "" && flags&(pkcs11.CKF_USER_PIN_COUNT_LOW|pkcs11.CKF_USER_PIN_FINAL_TRY) != 0:
		err := fmt.Errorf("%w: the last PIN for token %s was wrong, and no other is tried so that the token does not lock itself", signer.ErrDenied, label)
		return "", signer.WithHint(err, signer.Hint{Do: "log in with the right PIN once: pkcs11-tool --module MODULE --token-label " + escape(t.label) + " --login --list-objects"})
	case u.pinFile != "":
		return readPIN(u.pinFile)
	}
	pin, err := pluginmain.Passphrase(ctx, "the PIN of token "+label)
	return string(pin), err
}

func (t *token) checkPerson(ctx context.Context) error {
	if signer.MayPrompt(ctx) {
		return nil
	}
	return fmt.Errorf("%w: the PIN of token %s is typed at the device, and nobody is there", signer.ErrLocked, printable.Text(t.label))
}

// maxPIN is the longest content of a PIN file, in bytes.
const maxPIN = 4096

func readPIN(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: the PIN file: %w", signer.ErrDenied, printable.Error(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := access.CheckReaders("PIN file", path, info); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPIN+1))
	pin := string(keyfile.TrimLineEnd(data))
	switch {
	case err != nil:
		return "", printable.Error(err)
	case len(data) > maxPIN || pin == "":
		return "", fmt.Errorf("%w: the PIN file %s is empty or has more than a PIN", signer.ErrDenied, printable.Text(path))
	}
	return pin, nil
}
