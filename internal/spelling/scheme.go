package spelling

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// Scheme returns the known scheme that the scheme of ref is probably a slip for.
// It returns "" if err is not about an unknown scheme, or if no scheme is near.
// Slips in the first letter do not count, because schemes are short and a program
// may have its own: "mine" is not a slip for "file".
func Scheme(err error, ref string) string {
	unknown, ok := errors.AsType[*signer.SchemeError](err)
	if !ok {
		return ""
	}
	scheme, _, _ := strings.Cut(ref, ":")
	return Nearest(scheme, slices.DeleteFunc(slices.Clone(unknown.Known), func(known string) bool {
		return !strings.HasPrefix(known, scheme[:min(1, len(scheme))])
	}))
}

// WithSchemeHint returns err with a hint if [Scheme] finds a known scheme, or if ref is
// the path of a file without a scheme.
func WithSchemeHint(err error, ref string) error {
	if meant := Scheme(err, ref); meant != "" {
		return signer.WithHint(err, signer.Hint{Do: fmt.Sprintf("did you mean %q?", meant+":")})
	}
	if _, other := errors.AsType[*signer.SchemeError](err); !other && errors.Is(err, signer.ErrName) && isFile(ref) {
		return signer.WithHint(err, signer.Hint{Do: "did you mean " + printable.Quote("file:"+ref) + "?"})
	}
	return err
}

// isFile reports whether ref is the path of a file. Then it is no key in a wrong place.
func isFile(ref string) bool {
	info, err := os.Stat(ref)
	return err == nil && info.Mode().IsRegular()
}
