package challenge_test

import (
	"fmt"
	"net/http"

	"github.com/countersign/countersign/challenge"
)

func ExampleParse() {
	h := http.Header{}
	h.Add("WWW-Authenticate", `Negotiate, Basic realm="simple"`)
	h.Add("WWW-Authenticate", `Bearer realm="https://registry.ollama.ai/v2/token",service="ollama.com"`)
	h.Add("WWW-Authenticate", `Digest realm="not closed`)

	all, err := challenge.Parse(h)
	for _, c := range all {
		fmt.Printf("%s: realm %q\n", c.Scheme, c.Get("realm"))
	}
	fmt.Println(err)
	// Output:
	// negotiate: realm ""
	// basic: realm "simple"
	// bearer: realm "https://registry.ollama.ai/v2/token"
	// WWW-Authenticate line 3, offset 24: the quoted string does not end
}
