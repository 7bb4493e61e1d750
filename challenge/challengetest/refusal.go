package challengetest

import (
	"encoding/json"
	"net/http"
)

// A refusal is written as Ollama's {"error": ...} and as OCI's {"errors":
// [{"code": ..., "message": ...}]} at once.
type refusal struct {
	status        int
	code, message string
	signIn        string // where the key can be connected, or ""
}

func refuse(status int, code, message string) *refusal {
	return &refusal{status: status, code: code, message: message}
}

func (no *refusal) write(w http.ResponseWriter) {
	reply := map[string]any{
		"error":  no.message,
		"errors": []map[string]string{{"code": no.code, "message": no.message}},
	}
	if no.signIn != "" { // as Ollama's server/routes.go, WhoamiHandler
		reply["error"], reply["signin_url"] = "unauthorized", no.signIn
	}
	writeJSON(w, no.status, reply)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
