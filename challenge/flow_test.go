package challenge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/signer"
	"github.com/countersign/countersign/signer/signertest"
)

const repo = "library/llama3"

// visitor is a client of a registry, with a key that counts its signatures.
type visitor struct {
	*challengetest.Registry
	signatures atomic.Int64
	key        signer.Signer
	client     *challenge.Client
	http       *http.Client
	layers     []string
}

func visit(t *testing.T, c challengetest.Config, layers ...string) *visitor {
	t.Helper()
	registry, err := challengetest.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	v := &visitor{Registry: registry}
	var data [][]byte
	for _, l := range layers {
		data = append(data, []byte(l))
	}
	v.layers = registry.AddImage(repo, "latest", data...)
	private := signertest.NewKey(t)
	key, err := signer.New(private)
	if err != nil {
		t.Fatal(err)
	}
	v.key = signer.Func(key.PublicKey(), func(ctx context.Context, msg []byte) (*ssh.Signature, error) {
		v.signatures.Add(1)
		return key.Sign(ctx, msg)
	})
	v.client = &challenge.Client{
		HTTP: registry.Client(),
		Key:  func(context.Context, challenge.Origin) (signer.Signer, error) { return v.key, nil },
		Now:  c.Now,
	}
	v.http = &http.Client{Transport: &challenge.Transport{Client: v.client, Base: registry.Client().Transport}}
	return v
}

func parseOrigin(t *testing.T, text string) challenge.Origin {
	t.Helper()
	o, err := challenge.ParseOrigin(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func originOf(t *testing.T, u *url.URL) challenge.Origin {
	t.Helper()
	o, err := challenge.OriginOf(u)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// get reads a path of the registry.
func (v *visitor) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.URL+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return string(body), fmt.Errorf("status %s", resp.Status)
	}
	return string(body), err
}

const manifest = "/v2/" + repo + "/manifests/latest"

func blob(digest string) string { return "/v2/" + repo + "/blobs/" + digest }

func TestFromAKeyToAResource(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			v := visit(t, challengetest.Config{TLS: tls}, "weights")
			if _, err := v.get(t.Context(), manifest); err != nil {
				t.Fatal(err)
			}
			body, err := v.get(t.Context(), blob(v.layers[0]))
			if err != nil {
				t.Fatal(err)
			}
			if body != "weights" {
				t.Errorf("the blob is %q", body)
			}
			want := challengetest.Stats{Resources: 3, Challenges: 1, Exchanges: 1, Tokens: 1, Signatures: 1}
			if diff := cmp.Diff(want, v.Stats()); diff != "" {
				t.Errorf("what the registry saw (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneExchangeForAllCallers(t *testing.T) {
	const callers, blobs = 64, 64
	layers := make([]string, blobs)
	for i := range layers {
		layers[i] = fmt.Sprintf("layer %d", i)
	}
	v := visit(t, challengetest.Config{}, layers...)
	pull := func() {
		t.Helper()
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for i, digest := range v.layers {
					if body, err := v.get(t.Context(), blob(digest)); err != nil || body != layers[i] {
						t.Errorf("blob %d: %q, %v", i, body, err)
					}
				}
			})
		}
		all.Wait()
	}
	pull()
	cold := v.Stats()
	if cold.Exchanges != 1 || cold.Challenges > callers {
		t.Errorf("cold: %d exchanges and %d challenges, want 1 and at most %d", cold.Exchanges, cold.Challenges, callers)
	}
	pull()
	if warm := v.Stats(); warm.Exchanges != 1 || warm.Challenges != cold.Challenges {
		t.Errorf("warm: %d more exchanges and %d more challenges, want none", warm.Exchanges-1, warm.Challenges-cold.Challenges)
	}
	v.RevokeAll()
	pull()
	if revoked := v.Stats(); revoked.Exchanges != 2 {
		t.Errorf("after the server dropped its tokens: %d exchanges, want 1", revoked.Exchanges-1)
	}
}

func TestRefusedRealmNeverReachesTheKey(t *testing.T) {
	for _, realm := range []string{
		"https://evil.example/token", "http://169.254.169.254/token", "http://user@127.0.0.1/token", "/v2/token", "http://localhost:1/token",
	} {
		v := visit(t, challengetest.Config{})
		v.Fail(challengetest.Challenges, challengetest.Always, challengetest.WrongRealm(realm))
		_, err := v.get(t.Context(), manifest)
		if !errors.Is(err, challenge.ErrRealm) {
			t.Errorf("realm %s: error %v, want ErrRealm", realm, err)
		}
		if n := v.signatures.Load(); n != 0 {
			t.Errorf("realm %s: %d signatures, want none", realm, n)
		}
		var e *challenge.Error
		if !errors.As(err, &e) || e.Realm != realm || e.Registry != v.URL {
			t.Errorf("realm %s: the error does not name realm and registry: %v", realm, err)
		}
	}
}

func TestTokenThatIsNeverTaken(t *testing.T) {
	v := visit(t, challengetest.Config{})
	v.Fail(challengetest.Resources, challengetest.Always, challengetest.NeverSatisfied)
	for i := range 3 {
		before := v.Stats().Exchanges
		_, err := v.get(t.Context(), manifest)
		var e *challenge.Error
		if !errors.Is(err, challenge.ErrRejected) || !errors.As(err, &e) {
			t.Fatalf("error %v, want ErrRejected", err)
		}
		if want := ssh.FingerprintSHA256(v.key.PublicKey()); e.Key != want || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name the key: %v", err)
		}
		if n := v.Stats().Exchanges - before; n != 1 {
			t.Errorf("request %d: %d exchanges, want 1", i, n)
		}
	}
}
