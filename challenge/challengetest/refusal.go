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
}

func refuse(status int, code, message string) *refusal { return &refusal{status, code, message} }

func (no *refusal) write(w http.ResponseWriter) {
	writeJSON(w, no.status, map[string]any{
		"error":  no.message,
		"errors": []map[string]string{{"code": no.code, "message": no.message}},
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
