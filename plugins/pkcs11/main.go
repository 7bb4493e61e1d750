// Command countersign-backend-pkcs11 is a plugin of countersign for keys in tokens
// with a PKCS #11 module, such as a YubiKey, a smart card, an HSM or SoftHSM. A key is
//
//	plugin:pkcs11:token=work;object=ollama
//
// which is a URI of RFC 7512 without its scheme. docs/hardware.md describes it.
package main

import (
	"os"

	"github.com/countersign/countersign/backends/plugin/pluginmain"
)

func main() { run() }

func run() { pluginmain.Main("PKCS #11 tokens", &backend{module: os.Getenv(moduleVariable)}) }

// moduleVariable names the path of the module for URIs without module-path.
const moduleVariable = "COUNTERSIGN_PKCS11_MODULE"
