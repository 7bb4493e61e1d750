// Command docker-credential-countersign lets docker, podman, skopeo, crane and oras log
// in to registries behind countersignd with a key that stays where it is. Clients run it:
// see docs/other-languages.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/countersign/countersign/config"
	"github.com/countersign/countersign/internal/credhelper"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Println(credhelper.Text(err)) // the protocol has errors on stdout
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	credentials.Name, credentials.Package, credentials.Version = "docker-credential-countersign", "github.com/countersign/countersign", version()
	if len(args) != 1 {
		return errors.New("clients such as docker run docker-credential-countersign get|list|version: see countersign help other-languages")
	}
	c, err := config.Load()
	if err != nil {
		return err
	}
	helper := &credhelper.Helper{Context: ctx, Config: c, Keys: c.Backends(), Query: config.Here(""), Now: time.Now}
	return credentials.HandleCommand(helper, args[0], os.Stdin, os.Stdout)
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
