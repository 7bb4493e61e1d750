package challenge_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
)

// TestTokenReplies: what a token endpoint may reply, and what an error tells.
func TestTokenReplies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		header []string
		is     error // nil for a token
		texts  []string
	}{
		{"201", 201, `{"token":"t"}`, nil, nil, nil},
		{"a word for expires_in", 200, `{"token":"t","expires_in":"soon"}`, nil, nil, nil},
		{"a byte order mark", 200, "\ufeff" + `{"token":"t"}`, nil, nil, nil},
		{"404", 404, `{"message":"no such page"}`, nil, challenge.ErrReply, []string{"no token endpoint", "no such page"}},
		{"HTML by its type", 403, `blocked`, []string{"Content-Type", "text/html; charset=utf-8"}, challenge.ErrReply, []string{"HTML"}},
		{"HTML by its start", 401, "\n<!DOCTYPE html><title>Just a moment</title>", nil, challenge.ErrReply, []string{"HTML", "Just a moment"}},
		{"405", 405, "", nil, challenge.ErrReply, []string{"unusable reply: 405 Method Not Allowed"}},
		{"a reason in a success", 200, `{"detail":"unknown key"}`, nil, challenge.ErrReply, []string{"neither token nor access_token", "unknown key"}},
		{"a bare token", 200, "s3cret", nil, challenge.ErrReply, nil},
		{"rejected", 401, `{"details":"unknown key"}`, nil, challenge.ErrRejected, []string{"unknown key"}},
		{"plain text", 403, "ask the operator", nil, challenge.ErrRejected, []string{"ask the operator"}},
		{
			"insufficient_scope in the header", 403, "",
			[]string{"WWW-Authenticate", `Bearer realm="r",error="insufficient_scope"`},
			challenge.ErrRejected,
			[]string{"not allowed to use this scope"},
		},
		{"invalid_scope in JSON", 400, `{"error":"invalid_scope"}`, nil, challenge.ErrRejected, []string{"not allowed to use this scope"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := visit(t, challengetest.Config{})
			v.Fail(challengetest.Tokens, challengetest.Always, challengetest.Reply(tt.status, tt.body, tt.header...))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL+manifest, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			ch, err := challenge.Bearer(resp.Header)
			if err != nil {
				t.Fatal(err)
			}
			token, err := v.client.Token(t.Context(), ch, req)
			if !errors.Is(err, tt.is) || tt.is == nil && (err != nil || token.Value() != "t") {
				t.Fatalf("got %q, %v, want error %v", token.Value(), err, tt.is)
			}
			if tt.is == challenge.ErrReply && errors.Is(err, challenge.ErrRejected) {
				t.Errorf("%v: not a rejection", err)
			}
			for _, text := range tt.texts {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%v: want %q in it", err, text)
				}
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v: a secret", err)
			}
		})
	}
}

// TestRefusedTokenOfAnotherScope: the registry says that the key lacks the scope.
func TestRefusedTokenOfAnotherScope(t *testing.T) {
	v := visit(t, challengetest.Config{Service: "s"})
	v.Fail(challengetest.Resources, challengetest.Always, challengetest.Reply(401, "", "WWW-Authenticate",
		`Bearer realm="`+v.Realm()+`",service="s",scope="repository:`+repo+`:pull",error="insufficient_scope"`))
	_, err := v.get(t.Context(), manifest)
	if !errors.Is(err, challenge.ErrRejected) || !strings.Contains(err.Error(), "not allowed to use this scope") {
		t.Errorf("got %v, want ErrRejected and the reason", err)
	}
}

// TestErrorTellsMistakesOfTheChallenge: a token for another scope than the server
// meant may be why a request fails.
func TestErrorTellsMistakesOfTheChallenge(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.Fail(challengetest.Resources, challengetest.Always, challengetest.Reply(401, "", "WWW-Authenticate",
		`Basic realm=/, Bearer realm="`+v.Realm()+`",service="s",scope=repository:a:pull,scope="b"`))
	_, err := v.get(t.Context(), manifest)
	const want = "the server's challenge has mistakes: scope is not in quotes, scope is given more than once and was ignored"
	if !errors.Is(err, challenge.ErrRejected) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	v = visit(t, challengetest.Config{})
	v.Fail(challengetest.Resources, challengetest.Always, challengetest.Reply(401, "", "WWW-Authenticate",
		`Bearer realm="https://evil.example/token",service="s",scope=a:b:c`))
	_, err = v.get(t.Context(), manifest)
	if !errors.Is(err, challenge.ErrRealm) || !strings.Contains(err.Error(), "scope is not in quotes") {
		t.Errorf("got %v, want ErrRealm and the mistake", err)
	}
}

func TestUnusableReplies(t *testing.T) {
	tests := []struct {
		name  string
		fault challengetest.Fault
		says  string
	}{
		{"not JSON", challengetest.Reply(200, "<html>welcome</html>"), "not the JSON of a token"},
		{"empty", challengetest.Reply(200, ""), "not the JSON of a token"},
		{"no token", challengetest.Reply(200, `{"expires_in":300}`), "neither token nor access_token"},
		{"64 MiB", challengetest.Huge(64 << 20), "larger than 131072 bytes"},
		{"cut, each time", challengetest.Cut, "it broke off"},
		{"a redirect", challengetest.Reply(302, "", "Location", "/v2/token2"), "may not redirect"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // tries are seconds apart
				v := visit(t, challengetest.Config{InMemory: true})
				v.Fail(challengetest.Tokens, challengetest.Always, tt.fault)
				_, err := v.get(t.Context(), manifest)
				if !errors.Is(err, challenge.ErrReply) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want ErrReply that says %q", err, tt.says)
				}
				v.Heal()
				v.mustGet(t, manifest) // nothing of it is remembered
			})
		})
	}
}
