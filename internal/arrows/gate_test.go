package arrows_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
)

// gateOrder has the packages of the gate. Each may import only those before it.
var gateOrder = []string{
	"gate/scope", "gate/reply", "gate/pubkey", "gate/watch", "gate/limit", "gate/internal/tomlfile",
	"gate/audit", "gate/metrics", "gate/authkeys", "gate/grants", "gate/config",
	"gate/front", "gate/forward", "gate/verify", "gate/nonce", "gate/redisnonce", "gate/token", "gate/tlsfiles",
	"gate/site",
	"gate/registry", "gate/ollama", "gate/signin",
	"gate/setup", "gate/check",
	"gate",
	"gate/internal/redistest", "gate/internal/gatetest", "gate/cmd/countersignd",
}

// gateImporters has the packages of the gate that may import a package of another module
// or of the module in the top folder. All may import golang.org/x/crypto.
var gateImporters = map[string][]string{
	"challenge":                           {"gate", "gate/config", "gate/front", "gate/registry", "gate/signin", "gate/verify", "gate/internal/gatetest", "gate/cmd/countersignd"},
	"guard":                               {"gate/verify"}, // the one place that reads signed texts
	"backends":                            {"gate/internal/gatetest", "gate/cmd/countersignd"},
	"config":                              nil, // it is about clients
	"proxy":                               nil,
	"github.com/go-jose/go-jose/v4":       {"gate/token"},
	"github.com/pelletier/go-toml/v2":     {"gate/internal/tomlfile"},
	"github.com/prometheus/client_golang": {"gate/metrics"},
	"github.com/redis/go-redis/v9":        {"gate/redisnonce", "gate/internal/redistest", "gate/cmd/countersignd"}, // countersignd switches its logging off
	"github.com/spf13/cobra":              {"gate/cmd/countersignd"},
	"golang.org/x/time":                   {"gate/limit"},
}

func TestArrowsOfTheGate(t *testing.T) {
	all := listIn(t, "../../gate", runtime.GOOS, module+"/gate/...")
	for path, p := range all {
		name := short(path)
		if name != "gate" && !strings.HasPrefix(name, "gate/") {
			continue
		}
		place := slices.Index(gateOrder, name)
		if place < 0 {
			t.Errorf("%s is not in the order: add it to this test", name)
		}
		for _, dep := range p.Imports {
			dep = short(dep)
			if slices.Index(gateOrder, dep) >= place {
				t.Errorf("%s imports %s, which comes after it", name, dep)
			}
			for library, importers := range gateImporters {
				if (dep == library || strings.HasPrefix(dep, library+"/")) && !slices.Contains(importers, name) {
					t.Errorf("%s imports %s", name, dep)
				}
			}
		}
	}
	for _, name := range gateOrder {
		if _, ok := all[module+"/"+name]; !ok {
			t.Errorf("there is no package %s any more: correct this test", name)
		}
	}
	for _, dep := range all[module+"/gate/cmd/countersignd"].Deps {
		if testCode.MatchString(dep) {
			t.Errorf("countersignd is built from %s", dep)
		}
	}
}
