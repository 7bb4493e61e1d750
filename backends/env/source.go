package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/countersign/countersign/internal/keyfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// variableName is POSIX's definition; a shell cannot set other variables.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// longest is less than a pasted Ed25519 key with its public half has: 86 bytes.
const longest = 80

func checkName(name string) error {
	if err := signer.CheckName(name, longest); err != nil {
		return err
	}
	if !variableName.MatchString(name) {
		return fmt.Errorf("%w: a variable's name has letters, digits and underscores, and a digit not first", signer.ErrName)
	}
	return nil
}

// isPath tells a path from base64, which may look like one.
func isPath(text []byte) bool {
	path := string(bytes.TrimSpace(text))
	if !filepath.IsAbs(path) {
		return false
	}
	_, err := os.Lstat(path)
	return err == nil
}

// A source is a text and where it was found.
type source struct {
	from  string        // for errors
	text  func() []byte // a copy
	stale func() bool
}

// answer is a signer.PassphraseFunc.
func (s source) answer(context.Context, string) ([]byte, error) { return s.text(), nil }

// looksLikePath reports whether text is a path or a reference rather than a damaged
// key. The file need not exist.
func looksLikePath(text string) bool {
	text = strings.TrimSpace(text)
	if _, err := os.Lstat(text); err == nil && text != "" {
		return true
	}
	return pathForm.MatchString(text)
}

// pathForm matches a path from the root, the home or the working directory, one of
// Windows, and a reference such as file:key.
var pathForm = regexp.MustCompile(`^(~?/|\.\.?[/\\]|\$\{?HOME\b|[A-Za-z]:[/\\]|\\\\|file:)[^\n]*$`)

func pathError(from, name string) error {
	err := fmt.Errorf("%s: the path of a file, not a key; %s_FILE takes a path", from, name)
	return signer.WithHint(err, signer.Hint{Do: "set " + name + "_FILE to the path, and unset " + from, See: "headless"})
}

// emptyVariables says how find treats a variable that is set to "".
type emptyVariables bool

const (
	skipEmpty emptyVariables = false // as not set
	takeEmpty emptyVariables = true  // as a text, which is then refused by name
)

// find looks for the text called name in the variable, the file that NAME_FILE
// names, and among systemd's credentials.
func (b *Backend) find(name string, empty emptyVariables) (source, error) {
	pointer := name + "_FILE"
	value, isSet, err := b.lookup(name)
	if err != nil {
		return source{}, err
	}
	path, hasFile := os.LookupEnv(pointer)
	switch {
	case isSet && hasFile && (value != "" || path != ""):
		return source{}, signer.WithHint(fmt.Errorf("both %s and %s are set", name, pointer), signer.Hint{Do: "unset one of them"})
	case isSet && (value != "" || empty == takeEmpty):
		return source{name, func() []byte { return []byte(value) }, func() bool { return false }}, nil
	case hasFile && path != "":
		return pointed(pointer, path)
	}
	src, err := credential(name)
	switch {
	case !errors.Is(err, signer.ErrNotFound):
	case isSet:
		err = signer.WithHint(emptyError(name), setVariable(name))
	case hasFile:
		err = signer.WithHint(emptyError(pointer), setVariable(name))
	}
	return src, err
}

// An emptyError is the error for the empty variable of that name.
type emptyError string

func (e emptyError) Error() string {
	return signer.ErrNotFound.Error() + ": set but empty: " + string(e)
}

// Brief gives [signer.PassedOver] the reason in short.
func (e emptyError) Brief() string { return "set but empty" }

func (e emptyError) Unwrap() error { return signer.ErrNotFound }

func (b *Backend) lookup(variable string) (value string, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	value, ok = os.LookupEnv(variable)
	if !ok {
		taken, ok := b.taken[variable]
		if !ok {
			return "", false, nil
		}
		return taken(), true, nil
	}
	if !b.Unset {
		return value, true, nil
	}
	return value, true, b.remove(variable, value)
}

// remove takes a variable out of the environment and remembers its value. The
// caller holds b.mu.
func (b *Backend) remove(variable, value string) error {
	if err := os.Unsetenv(variable); err != nil {
		return fmt.Errorf("removing %s from the environment: %w", variable, err)
	}
	if b.taken == nil {
		b.taken = make(map[string]func() string)
	}
	b.taken[variable] = func() string { return value }
	return nil
}

// pointed reads the file at path, which the variable pointer holds. It repeats
// no path that may be the secret itself, put into the wrong variable.
func pointed(pointer, path string) (source, error) {
	if !filepath.IsAbs(path) {
		return source{}, fmt.Errorf("%s is not an absolute path", pointer)
	}
	src, err := read(fmt.Sprintf("%s (%s)", pointer, printable.Text(path)), path)
	if err == nil {
		return src, nil
	}
	if _, notKey := decode([]byte(path)); notKey == nil {
		return source{}, fmt.Errorf("%s holds a key: it takes the path of a file", pointer)
	}
	if errors.Is(err, signer.ErrNotFound) {
		// Not ErrNotFound: a user who names a file wants its key and no other.
		err := fmt.Errorf("%s names %s: %w", pointer, printable.Text(path), fs.ErrNotExist)
		return source{}, signer.WithHint(err, signer.Hint{Do: "mount that file, or unset the variable", See: "headless"})
	}
	return source{}, fmt.Errorf("%s: %w", pointer, err)
}

func credential(name string) (source, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY") // systemd.exec(5)
	if dir == "" {
		err := fmt.Errorf("%w: none of %s, %s_FILE and CREDENTIALS_DIRECTORY is set", signer.ErrNotFound, name, name)
		return source{}, signer.WithHint(err, setVariable(name))
	}
	if !filepath.IsAbs(dir) {
		return source{}, errors.New("CREDENTIALS_DIRECTORY is not an absolute path")
	}
	src, err := read("credential "+name, filepath.Join(dir, name))
	if errors.Is(err, signer.ErrNotFound) {
		err = fmt.Errorf("%w: neither %s nor %s_FILE is set, and CREDENTIALS_DIRECTORY (%s) has no %s", signer.ErrNotFound, name, name, printable.Text(dir), name)
		err = signer.WithHint(err, setVariable(name))
	}
	return src, err
}

func setVariable(name string) signer.Hint {
	return signer.Hint{Do: "set " + name + " to the key, or " + name + "_FILE to the path of its file", See: "headless"}
}

func read(from, path string) (source, error) {
	data, snapshot, err := keyfile.Read(path)
	if err != nil {
		return source{}, err
	}
	text := keyfile.TrimLineEnd(data)
	return source{from, func() []byte { return bytes.Clone(text) }, snapshot.Stale}, nil
}
