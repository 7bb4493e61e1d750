package challenge_test

import (
	"net/http"
	"testing"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
)

// TestTokensAreForOneScope has what tokens are remembered by differ in one part at
// a time.
func TestTokensAreForOneScope(t *testing.T) {
	v := visit(t, challengetest.Config{})
	req, _ := http.NewRequest(http.MethodGet, v.URL, nil)
	ask := func(realm, service, scope string) {
		t.Helper()
		ch := challenge.Challenge{Scheme: "bearer", Params: []challenge.Param{{Name: "realm", Value: realm}, {Name: "service", Value: service}, {Name: "scope", Value: scope}}}
		if _, err := v.client.Token(t.Context(), ch, req); err != nil {
			t.Error(err)
		}
	}
	v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(200, `{"token":"t"}`))
	for range 3 {
		ask(v.Realm(), "a", "repository:x:pull,push")
		ask(v.Realm(), "a", "repository:x:push repository:x:pull") // the same
		ask(v.Realm(), "a", "repository:x:pull")
		ask(v.Realm(), "b", "repository:x:pull")
		ask(v.Realm()+"?account=me", "b", "repository:x:pull")
	}
	if n := v.Stats().Exchanges; n != 4 {
		t.Errorf("%d exchanges, want 4", n)
	}
}

func TestNextRepositoryIsGuessed(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.AddImage("other/model", "latest")
	v.mustGet(t, manifest)
	v.mustGet(t, "/v2/other/model/manifests/latest")
	if s := v.Stats(); s.Challenges != 1 || s.Exchanges != 2 {
		t.Errorf("%d challenges and %d exchanges, want 1 and 2", s.Challenges, s.Exchanges)
	}
	v.AddImage("third/model", "latest")
	v.Fail(challengetest.Tokens, 1, challengetest.Reply(403, "")) // a guess that is wrong
	v.mustGet(t, "/v2/third/model/manifests/latest")
	if s := v.Stats(); s.Challenges != 2 {
		t.Errorf("%d challenges, want one for the wrong guess", s.Challenges-1)
	}
}

func TestScopesInTurnKeepTheirTokens(t *testing.T) {
	v := visit(t, challengetest.Config{})
	scopes := []string{"a", "b"}
	for i := range 10 {
		line := `Bearer realm="` + v.Realm() + `",service="challengetest",scope="` + scopes[i%2] + `"`
		v.Fail(challengetest.Resources, 1, challengetest.Reply(401, "", "WWW-Authenticate", line))
		v.Fail(challengetest.Resources, 1, challengetest.Reply(200, ""))
		v.mustGet(t, "/v2/")
	}
	if n := v.Stats().Exchanges; n != 2 {
		t.Errorf("%d exchanges for two scopes, want 2", n)
	}
}
