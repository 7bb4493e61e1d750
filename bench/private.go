package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign/internal/gosource"
)

// A private parser is one that a peer neither exports nor lets anyone import. It
// is taken from the peer's own source, as downloaded, and compiled beside ours.
type private struct {
	peer    string
	pkg     string // name for it here
	module  string // with its version
	dir     string
	root    string // the function
	wrapper string // Parse, in the form that parser_test.go has for all
}

const (
	orasModule         = "oras.land/oras-go/v2"
	ggcrModule         = "github.com/google/go-containerregistry"
	distributionModule = "github.com/distribution/distribution/v3@v3.1.2"
	regclientModule    = "github.com/regclient/regclient"
	ollamaModule       = "github.com/ollama/ollama"
)

var privates = []private{
	{"oras-go", "oras", orasModule, "registry/remote/auth", "parseChallenge", `
		scheme, p := parseChallenge(h.Get("Www-Authenticate"))
		if scheme != SchemeBearer {
			return "", "", ""
		}
		return p["realm"], p["service"], p["scope"]`},
	{"go-containerregistry", "ggcr", ggcrModule, "pkg/v1/remote/internal/authchallenge", "parseAuthHeader", firstBearer},
	{"distribution", "distribution", distributionModule, "internal/client/auth/challenge", "parseAuthHeader", firstBearer},
	{"regclient", "regclient", regclientModule, "internal/auth", "ParseAuthHeaders", `
		all, _ := ParseAuthHeaders(h.Values("Www-Authenticate"))
		for _, c := range all {
			if c.authType == "bearer" {
				return c.params["realm"], c.params["service"], c.params["scope"]
			}
		}
		return "", "", ""`},
	{"ollama", "ollama", ollamaModule, "server", "parseRegistryChallenge", `
		c := parseRegistryChallenge(h.Get("Www-Authenticate"))
		return c.Realm, c.Service, c.Scope`},
	{"ollama x/transfer", "transfer", ollamaModule, "x/imagegen/transfer", "parseAuthChallenge", `
		c := parseAuthChallenge(h.Get("Www-Authenticate"))
		return c.Realm, c.Service, c.Scope`},
}

const firstBearer = `
		for _, c := range parseAuthHeader(h) {
			if c.Scheme == "bearer" {
				return c.Parameters["realm"], c.Parameters["service"], c.Parameters["scope"]
			}
		}
		return "", "", ""`

// writeOverlay puts the parsers into tmp and returns the name of a file for go's
// -overlay, with which they are packages of this module.
func writeOverlay(tmp string) (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	imports, list := "", ""
	for _, p := range privates {
		code, err := p.extract()
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.peer, err)
		}
		file := filepath.Join(tmp, p.pkg+".go")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(here, "private", p.pkg, "parser.go")] = file
		imports += fmt.Sprintf("import %s %q\n", p.pkg, "github.com/countersign/countersign/bench/private/"+p.pkg)
		list += fmt.Sprintf("\t{%q, %s.Parse},\n", p.peer, p.pkg)
	}
	file := filepath.Join(tmp, "private_test.go")
	code := "package main\n\n" + imports + "\nvar privateParsers = []parseFunc{\n" + list + "}\n"
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		return "", err
	}
	replace[filepath.Join(here, "private_test.go")] = file
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file = filepath.Join(tmp, "overlay.json")
	return file, os.WriteFile(file, overlay, 0o600)
}

func (p private) extract() (string, error) {
	dir, err := gosource.ModuleDir(p.module)
	if err != nil {
		return "", err
	}
	s, err := gosource.Load(filepath.Join(dir, p.dir))
	if err != nil {
		return "", err
	}
	code, err := s.Extract(p.pkg, p.root)
	if err != nil {
		return "", err
	}
	if !strings.Contains(code, `"net/http"`) {
		code = strings.Replace(code, "\n\n", "\n\nimport http \"net/http\"\n", 1)
	}
	return code + "func Parse(h http.Header) (realm, service, scope string) {" + p.wrapper + "\n}\n", nil
}
