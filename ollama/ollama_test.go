package ollama_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/ollama"
	"github.com/countersign/countersign/signer"
)

func (v vectors) signer(t *testing.T) signer.Signer {
	t.Helper()
	s, err := signer.New(v.privateKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSignVectors compares with the signatures that Ollama's own code made. Some
// requests have a word such as "Bearer" in front of the signature.
func TestSignVectors(t *testing.T) {
	file := loadVectors(t)
	key := file.signer(t)
	signed := 0
	for _, v := range file.Vectors {
		if v.Signed == "" {
			continue
		}
		signed++
		got, err := ollama.Sign(t.Context(), key, []byte(v.Signed))
		if err != nil || got == "" || !strings.HasSuffix(v.Authorization, got) {
			t.Errorf("%s: got %q, %v; want %s", v.Name, got, err, v.Authorization)
		}
	}
	if signed < 30 {
		t.Errorf("only %d vectors", signed)
	}
}

// TestSignRefusesOtherProtocols wants no signature that another protocol accepts.
func TestSignRefusesOtherProtocols(t *testing.T) {
	key := loadVectors(t).signer(t)
	data, err := os.ReadFile("../guard/testdata/cross_protocol.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Samples []struct{ Name, Class, Hex string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, s := range file.Samples {
		msg, err := hex.DecodeString(s.Hex)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ollama.Sign(t.Context(), key, msg)
		if foreign := !strings.HasPrefix(s.Class, "ollama.") && s.Class != "raw"; foreign != (err != nil) {
			t.Errorf("%s (%s): %v", s.Name, s.Class, err)
		} else if foreign {
			refused++
		}
	}
	if refused < 15 {
		t.Errorf("only %d samples of other protocols", refused)
	}
	if _, err := ollama.Sign(t.Context(), key, []byte("a text of the program's own")); err != nil {
		t.Error(err)
	}
}

func TestSignEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := ollama.Sign(ctx, loadVectors(t).signer(t), []byte("POST,/api/me?ts=1700000000"))
	if got != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAuthorizedKey(t *testing.T) {
	file := loadVectors(t)
	if got := signer.AuthorizedKey(file.publicKey(t)); got != file.Key.Line {
		t.Errorf("got %q, want %q", got, file.Key.Line)
	}
}

func TestNewNonce(t *testing.T) {
	for length, want := range map[int]string{0: "", 1: "-w", 3: "-___", 4: "-____w"} {
		got, err := ollama.NewNonce(strings.NewReader("\xfb\xff\xff\xff\xff"), length)
		if err != nil || got != want {
			t.Errorf("%d bytes: got %q, %v; want %q", length, got, err, want)
		}
	}
	if got, err := ollama.NewNonce(strings.NewReader("ab"), 3); got != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reader that ends too early: got %q, %v", got, err)
	}
}
