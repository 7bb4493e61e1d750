package main

import (
	"errors"
	"net/http"
	"os"
	"strings"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/internal/remedy"
	"github.com/countersign/countersign/internal/shell"
	"github.com/countersign/countersign/signer"
)

// remedy returns the hint of err or names the flag or the command that helps: the
// library cannot, because other programs use it.
func (a *app) remedy(err error) string {
	e, _ := errors.AsType[*challenge.Error](err)
	if search, ok := errors.AsType[*signer.SearchError](err); ok && errors.Is(err, signer.ErrNotFound) && len(search.Passed) > 0 {
		return actionToMakeFirst(search.Passed) + "; or name yours in COUNTERSIGN_KEY or in a configuration file; see: countersign help configuration"
	}
	do := remedy.Of(err)
	missing, _ := errors.AsType[*signer.Error](err)
	isMissing := missing != nil && errors.Is(err, signer.ErrNotFound)
	switch {
	case isMissing && (missing.Op == "delete" || missing.Op == "rotate"):
		do = "see which keys there are: countersign key list"
	case isMissing && missing.Op == "import":
		do = "check the path of the file"
	case isMissing && strings.HasPrefix(missing.Ref, "file:"):
		do = actionToMake(missing.Ref) // package file knows no command
	case do != "":
	case e != nil && errors.Is(err, challenge.ErrRealm):
		do = "the configuration may be able to allow it: countersign doctor " + shell.Quote(e.Registry)
	case e != nil && errors.Is(err, challenge.ErrRejected) && e.Status == http.StatusUnauthorized:
		do = "if the server does not know the key yet: " + connectCommand(e.Registry) + "; see: countersign help command#how-does-a-server-get-to-know-a-key"
	case isMissing && canGenerate(missing.Ref):
		do = actionToMake(missing.Ref)
	case errors.Is(err, signer.ErrLocked) && a.unlock.read == nil:
		do = "give its passphrase with --passphrase-file; see: countersign help keys#passphrases"
	}
	return do
}

// actionToMake tells how to make the key ref.
func actionToMake(ref string) string {
	return "make it: countersign key generate " + quoteRef(ref) + "; or see which keys there are: countersign key list"
}

// actionToMakeFirst tells how to make the first of the missing keys whose store works.
func actionToMakeFirst(missing []signer.PassedOver) string {
	for _, m := range missing {
		if errors.Is(m.Err, signer.ErrNotFound) && canGenerate(m.Ref) && (hasHome() || !strings.HasPrefix(m.Ref, "file:~")) {
			return "make one: countersign key generate " + quoteRef(m.Ref)
		}
	}
	return "put one into the variable OLLAMA_KEY; see: countersign help headless"
}

// hasHome reports whether there is a home directory. Services may have /dev/null or
// a missing directory in its place.
func hasHome() bool {
	home, err := os.UserHomeDir()
	if err != nil {
		return false
	}
	info, err := os.Stat(home)
	return err == nil && info.IsDir()
}

// canGenerate reports whether the command can make the key ref.
func canGenerate(ref string) bool {
	return strings.HasPrefix(ref, "keyring:") || strings.HasPrefix(ref, "file:")
}

// connectCommand returns the command that connects a key for a registry. Ollama's
// accounts are not at its registry.
func connectCommand(registry string) string {
	if registry == "https://registry.ollama.ai" {
		return "countersign connect"
	}
	return "countersign connect " + shell.Quote(registry)
}

// quoteRef writes a reference for a shell. The scheme needs no quotes, and a ~ behind
// it is not expanded by the shell but by package file.
func quoteRef(ref string) string {
	scheme, name, _ := strings.Cut(ref, ":")
	if rest, ok := strings.CutPrefix(name, "~/"); ok && shell.Quote(rest) == rest {
		return ref
	}
	return scheme + ":" + shell.Quote(name)
}
