package leaks_test

import (
	"os"
	"testing"

	"github.com/countersign/countersign/internal/plugintest"
	"github.com/countersign/countersign/signer"
)

func TestMain(m *testing.M) {
	plugintest.Play()
	os.Exit(m.Run())
}

func openPKCS11(t *testing.T) signer.Signer { return plugintest.OpenPKCS11(t, "../..") }
