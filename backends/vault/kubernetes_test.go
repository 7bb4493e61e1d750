package vault_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/backends/vault"
	"github.com/countersign/countersign/signer"
)

// serviceAccountToken returns the JWT of a pod. Its signature is not checked: the
// server asks the Kubernetes API.
func serviceAccountToken(t *testing.T, account string) string {
	t.Helper()
	var parts []string
	for _, v := range []any{
		map[string]string{"alg": "RS256", "typ": "JWT"},
		map[string]any{
			"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:default:" + account,
			"kubernetes.io": map[string]any{"namespace": "default", "serviceaccount": map[string]string{"name": account, "uid": "1"}},
		},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	return strings.Join(append(parts, base64.RawURLEncoding.EncodeToString([]byte("signature of the cluster"))), ".")
}

// startKubernetes starts an API that accepts each service account, and returns the
// certificate of its authority.
func startKubernetes(t *testing.T) (url, certificate string) {
	t.Helper()
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var review struct {
			Spec struct{ Token string }
		}
		if err := json.NewDecoder(req.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		claims, _ := base64.RawURLEncoding.DecodeString(strings.Split(review.Spec.Token, ".")[1])
		var form struct{ Sub string }
		_ = json.Unmarshal(claims, &form)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
			"status": map[string]any{"authenticated": true, "user": map[string]any{"username": form.Sub, "uid": "1", "groups": []string{"system:serviceaccounts"}}},
		})
	}))
	t.Cleanup(api.Close)
	return api.URL, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}))
}

func TestKubernetes(t *testing.T) {
	s := startServer(t)
	s.make("key", "ed25519")
	s.admin("POST", "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	url, certificate := startKubernetes(t)
	s.admin("POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": url, "kubernetes_ca_cert": certificate, "disable_local_ca_jwt": true})
	s.admin("POST", "auth/kubernetes/role/app", map[string]any{
		"bound_service_account_names": "job", "bound_service_account_namespaces": "default", "token_policies": s.canSign(), "token_ttl": "1h",
	})
	path := writeSecret(t, serviceAccountToken(t, "job"))
	if err := os.Chmod(path, 0o644); err != nil { // as Kubernetes mounts it
		t.Fatal(err)
	}
	login := &vault.Kubernetes{Role: "app", TokenFile: path}
	b := &vault.Backend{Address: s.URL, Kubernetes: login}
	t.Cleanup(b.CloseIdleConnections)
	k := open(t, b, "key")
	sign(t, k)

	// Kubernetes replaces the token, and the server's token ends.
	s.admin("POST", "sys/leases/revoke-prefix/auth/kubernetes/login", map[string]any{})
	rewriteSecret(t, path, serviceAccountToken(t, "job"))
	sign(t, k)

	other := serviceAccountToken(t, "other")
	rewriteSecret(t, path, other)
	b = &vault.Backend{Address: s.URL, Kubernetes: login}
	t.Cleanup(b.CloseIdleConnections)
	_, err := b.Open(t.Context(), "key")
	mustFail(t, err, signer.ErrDenied, "logging in", "service account")
	if strings.Contains(err.Error(), other) {
		t.Error("the token of the service account is in the error")
	}

	// Without a pod there is no token.
	b = &vault.Backend{Address: s.URL, Kubernetes: &vault.Kubernetes{Role: "app"}}
	_, err = b.Open(t.Context(), "key")
	mustFail(t, err, signer.ErrDenied, "service account", "no such file")
}
