//go:build ignore

// Command server is a real Vault that keeps everything in memory. It listens on a free
// port of 127.0.0.1, prints its address and its root token, and ends when its input
// ends. The script test builds it in a module of its own.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/hashicorp/go-hclog"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

var (
	engines = map[string]logical.Factory{"transit": transit.Factory, "kv": vault.LeasedPassthroughBackendFactory}
	methods = map[string]logical.Factory{"approle": approle.Factory, "kubernetes": kubernetes.Factory}
)

// A registry names the engines and the login methods.
type registry struct{}

func (registry) Contains(name string, kind consts.PluginType) bool {
	_, ok := registry{}.Get(name, kind)
	return ok
}

func (registry) Get(name string, _ consts.PluginType) (func() (interface{}, error), bool) {
	if engines[name] == nil && methods[name] == nil {
		return nil, false
	}
	return func() (interface{}, error) { return nil, nil }, true
}

func (registry) Keys(kind consts.PluginType) []string {
	if kind == consts.PluginTypeCredential {
		return slices.Collect(maps.Keys(methods))
	}
	return slices.Collect(maps.Keys(engines))
}

func (registry) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}

func main() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Error})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		Logger:             logger,
		DisableMlock:       true,
		LogicalBackends:    engines,
		CredentialBackends: methods,
		BuiltinRegistry:    registry{},
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	made, err := core.Initialize(ctx, &vault.InitParams{
		BarrierConfig:    &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig:   &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		LegacyShamirSeal: true,
	})
	if err != nil {
		return err
	}
	if _, err := core.Unseal(made.SecretShares[0]); err != nil {
		return err
	}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{Type: "tcp", TLSDisable: true},
	})
	go func() { log.Fatal(http.Serve(ln, handler)) }()
	fmt.Printf("http://%s %s\n", ln.Addr(), made.RootToken)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
