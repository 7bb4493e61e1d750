package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/internal/printable"
)

func (a *app) initCmd() *cobra.Command {
	var o setup.Options
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a configuration with comments, a root certificate and a signing key",
		Long: `Write a configuration with comments, an empty authorized_keys, examples of grants, a root
certificate and a signing key, into the folder of the configuration file. Nothing is
replaced.`,
		Example: `  countersignd init --origin https://registry.example.com --registry http://127.0.0.1:5000
  countersignd init --config ./gate/countersignd.toml --origin http://127.0.0.1:8080 --ollama http://127.0.0.1:11434`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&o.Origin, "origin", "", "the public `ORIGIN`, such as https://registry.example.com (required)")
	f.StringVar(&o.Registry, "registry", "", "the `ADDRESS` of the registry behind the gate, such as http://127.0.0.1:5000")
	f.StringVar(&o.Ollama, "ollama", "", "the `ADDRESS` of the Ollama server behind the gate, such as http://127.0.0.1:11434")
	f.StringVar(&o.Blobs, "blobs", "", "the second `ORIGIN` for blobs, which Ollama needs, such as https://blobs.example.net")
	f.StringVar(&o.Listen, "listen", "", "the `HOST:PORT` to listen on (default: the port of the origin, on loopback without TLS)")
	f.StringVar(&o.Certificate, "tls-certificate", "", "the `FILE` with the certificate chain for TLS")
	f.StringVar(&o.Key, "tls-key", "", "the `FILE` with the key of the certificate")
	f.StringVar(&o.SigningKey, "signing-key", "file:token.key", "the `REF` of the key that signs tokens; it is made if it is missing")
	f.StringVar(&o.RootKey, "root-key", "file:root.key", "the `REF` of the key of the root certificate; it is made if it is missing")
	_ = cmd.MarkFlagRequired("origin")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		origin, err := challenge.ParseOrigin(o.Origin)
		if err != nil {
			return fmt.Errorf("--origin: %w", err)
		}
		if o.Registry == "" && o.Ollama == "" {
			return fmt.Errorf("nothing is behind the gate: give --registry, --ollama or both")
		}
		o.Folder, o.Origin = filepath.Dir(a.config), origin.String()
		o.Listen = cmp.Or(o.Listen, defaultListen(origin, o.Certificate != ""))
		if filepath.Base(a.config) != setup.ConfigFile {
			return fmt.Errorf("--config: init makes a file with the name %s", setup.ConfigFile)
		}
		if err := a.checkOwner(); err != nil {
			return err
		}
		made, err := setup.Init(cmd.Context(), o, a.keys(), time.Now())
		for _, path := range made {
			fmt.Fprintf(a.stdout, "made %s\n", printable.Text(path))
		}
		if err != nil {
			return err
		}
		a.printNextSteps(o, origin)
		return nil
	}
	return cmd
}

func defaultListen(origin challenge.Origin, tls bool) string {
	port := cmp.Or(origin.URL().Port(), map[string]string{"http": "80", "https": "443"}[origin.URL().Scheme])
	if tls {
		return ":" + port
	}
	return "127.0.0.1:" + port
}

func (a *app) printNextSteps(o setup.Options, origin challenge.Origin) {
	path := func(name string) string {
		p, err := filepath.Abs(filepath.Join(o.Folder, name))
		if err != nil {
			p = filepath.Join(o.Folder, name)
		}
		return printable.Text(p)
	}
	fmt.Fprintf(a.stdout, `
Next:
1. Add a line for each key to %s.
   "countersign key show" prints such a line. Write the name of the key's owner at its end.
2. Write into %s what they may do: nothing is granted yet.
`, path(setup.AuthorizedFile), path(setup.GrantsFile))
	step := 3
	if o.Registry != "" {
		fmt.Fprintf(a.stdout, `%d. Give the registry these lines in its configuration, and let nobody but the gate reach it:
     auth:
       token:
         realm: %s/token
         service: %s
         issuer: %s
         rootcertbundle: %s
`, step, origin, origin.URL().Host, origin, path(setup.RootFile))
		step++
	}
	fmt.Fprintf(a.stdout, `%d. Run "countersignd check --config %[2]s", and then "countersignd serve --config %[2]s".
   Keep %[3]s elsewhere if you can: only "countersignd rotate" needs it.
`, step, path(setup.ConfigFile), printable.Text(o.RootKey))
}
