package keyring_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/backends/keyring"
	"github.com/countersign/countersign/internal/secretservice"
	"github.com/countersign/countersign/signer/signertest"
)

// startKWallet starts a bus whose KWallet has a wallet with an empty password,
// which opens without a prompt.
func startKWallet(t testing.TB) *secretservice.Session {
	t.Helper()
	s := kwalletSession(t, "Enabled=true\nFirst Use=false\n")
	for _, name := range []string{"kdewallet.kwl", "kdewallet.salt"} {
		data, err := os.ReadFile(filepath.Join("testdata/kwallet", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(s.Dir(), "data/kwalletd", name), data)
	}
	s.StartDaemon("org.kde.kwalletd5", "kwalletd5")
	return s
}

func kwalletSession(t testing.TB, settings string) *secretservice.Session {
	t.Helper()
	secretservice.Require(t, "kwalletd5")
	s := secretservice.StartBus(t, "QT_QPA_PLATFORM=offscreen")
	write(t, filepath.Join(s.Dir(), ".config/kwalletrc"), []byte("[Wallet]\n"+settings))
	return s
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKWallet(t *testing.T) {
	if !secretservice.Rerun(t, startKWallet) {
		return
	}
	signertest.Run(t, func(*testing.T) signertest.Store {
		return signertest.Store{
			Backend:  &keyring.Backend{Stores: []keyring.Store{keyring.KWallet}, Timeout: patience},
			BadNames: badNames,
		}
	})
}

func TestKWalletStates(t *testing.T) {
	tests := []struct {
		name  string
		start func(testing.TB) *secretservice.Session
		op    string
		kinds []string
		text  string
	}{
		{"absent", startKWallet, "open", []string{"ErrNotFound"}, "kwallet"},
		{"not installed", func(t testing.TB) *secretservice.Session { return secretservice.StartBus(t) }, "open", []string{"ErrUnavailable"}, "no program on the D-Bus session bus provides it"},
		{"wallet closed", startKWallet, "list", []string{"ErrLocked"}, "is closed, or opening it was refused"},
		{"switched off", func(t testing.TB) *secretservice.Session {
			s := kwalletSession(t, "Enabled=false\n")
			s.AddService("org.kde.kwalletd5", "/usr/bin/kwalletd5") // it ends at once
			return s
		}, "open", []string{"ErrUnavailable"}, "it ended in the middle of a call"},
		{"a dialog that nobody sees", func(t testing.TB) *secretservice.Session {
			s := kwalletSession(t, "Enabled=true\nFirst Use=true\n")
			s.StartDaemon("org.kde.kwalletd5", "kwalletd5")
			return s
		}, "open", []string{"DeadlineExceeded"}, "does not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, tt.start(t).Env(), settings{Stores: []keyring.Store{keyring.KWallet}})
			r := w.do(tt.op, "key")
			t.Log(fmt.Sprint(r.Took.Round(time.Millisecond)), r.Error)
			if !slices.Equal(r.Kinds, tt.kinds) || !strings.Contains(r.Error, tt.text) {
				t.Errorf("got error %v %q, want %v %q", r.Kinds, r.Error, tt.kinds, tt.text)
			}
		})
	}
}
