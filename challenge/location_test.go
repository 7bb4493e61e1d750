package challenge_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
)

// An http.Client repeats a Location that is no URL in its own error.
func TestMalformedLocationHasNoSecrets(t *testing.T) {
	v := visit(t, challengetest.Config{})
	for _, location := range []string{"://%s", "%%zz%s", "https://r.example:%s/", "https://r.example/\x7f%s", "\x7f%s"} {
		server := &gossip{resource: func(g *gossip, resp *http.Response) error {
			resp.StatusCode = http.StatusTemporaryRedirect
			resp.Header.Set("Location", fmt.Sprintf(location, g.heard[len(g.heard)-1]))
			return nil
		}}
		client := &challenge.Client{Key: v.client.Key, HTTP: &http.Client{Transport: server}}
		for name, rt := range map[string]http.RoundTripper{
			"Transport":     &challenge.Transport{Client: client, Base: server},
			"RequestSigner": &challenge.RequestSigner{Key: client.Key, Origins: []challenge.Origin{parseOrigin(t, "r.example")}, Base: server},
		} {
			_, err := (&http.Client{Transport: rt}).Get("https://r.example/v2/")
			if err == nil {
				t.Fatalf("%s followed %q", name, location)
			}
			for _, secret := range server.heard {
				if strings.Contains(err.Error(), strings.TrimPrefix(secret, "Bearer ")) {
					t.Errorf("%s, %q: %v", name, location, err)
				}
			}
			if !strings.Contains(err.Error(), "[removed]") {
				t.Errorf("%s, %q: the error has no mark for the secret: %v", name, location, err)
			}
		}
	}
}
