package challengetest

import (
	"encoding/json"
	"net/http"
)

// A refusal is an error reply. Its JSON has the error member of Ollama, {"error":
// ...}, and that of OCI, {"errors": [{"code": ..., "message": ...}]}.
type refusal struct {
	status        int
	code, message string
	signIn        string // the sign-in page of the key, or ""
}

func refuse(status int, code, message string) *refusal {
	return &refusal{status: status, code: code, message: message}
}

func (refused *refusal) write(w http.ResponseWriter) {
	reply := map[string]any{
		"error":  refused.message,
		"errors": []map[string]string{{"code": refused.code, "message": refused.message}},
	}
	if refused.signIn != "" { // as Ollama's server/routes.go, WhoamiHandler
		reply["error"], reply["signin_url"] = "unauthorized", refused.signIn
	}
	writeJSON(w, refused.status, reply)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
