package config

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// randomTOML returns a short file with few names, so that it often defines one
// twice.
func randomTOML(r *rand.Rand) string {
	key := func() string {
		parts := make([]string, 1+r.IntN(3))
		for i := range parts {
			parts[i] = string(rune('a' + r.IntN(2)))
		}
		return strings.Join(parts, ".")
	}
	var val func(depth int) string
	val = func(depth int) string {
		switch n := r.IntN(6); {
		case n == 0 && depth < 3:
			return fmt.Sprintf("{%s = %s}", key(), val(depth+1))
		case n == 1 && depth < 3:
			return fmt.Sprintf("{%s = %s, %s = %s}", key(), val(depth+1), key(), val(depth+1))
		case n == 2 && depth < 3:
			return fmt.Sprintf("[%s, %s]", val(depth+1), val(depth+1))
		}
		return "1"
	}
	var b strings.Builder
	for range 1 + r.IntN(5) {
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "[%s]\n", key())
		} else {
			fmt.Fprintf(&b, "%s = %s\n", key(), val(0))
		}
	}
	return b.String()
}

// The check agrees with the decoder of go-toml.
func TestDefinitionsLikeGoTOML(t *testing.T) {
	rejected := 0
	const files = 20_000
	for seed := range uint64(files) {
		text := randomTOML(rand.New(rand.NewPCG(seed, 1)))
		want := toml.Unmarshal([]byte(text), new(map[string]any))
		r := reader{lines: linesOf([]byte(text))}
		r.parser.Reset([]byte(text))
		got := r.checkTOML([]byte(text))
		if got != (want == nil) {
			t.Fatalf("%s: accepted: %v; go-toml: %v", text, got, want)
		}
		if want == nil {
			continue
		}
		rejected++
		e, _ := errors.AsType[*toml.DecodeError](want)
		if line, _ := e.Position(); r.errs[0].(*Error).Line != line {
			t.Fatalf("%s: got %v, go-toml says line %d: %v", text, r.errs[0], line, want)
		}
	}
	if rejected < files/10 || rejected > files*9/10 {
		t.Errorf("%d of %d files are rejected: the test compares too little", rejected, files)
	}
}
