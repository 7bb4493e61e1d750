// Package reply writes the replies that the gate makes itself.
package reply

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// The error codes of the OCI distribution specification, "Error Codes", and those of
// distribution that the specification left out.
const (
	Unauthorized    = "UNAUTHORIZED"
	Denied          = "DENIED"
	Unsupported     = "UNSUPPORTED"
	TooManyRequests = "TOOMANYREQUESTS"
	Unavailable     = "UNAVAILABLE"
	NameUnknown     = "NAME_UNKNOWN"
)

// Error writes an error in the form of OCI registries and in that of Ollama:
//
//	{"errors": [{"code": "DENIED", "message": "..."}], "error": "..."}
//
// With 401, the reply has the member "status" too. Ollama's client shows it instead of
// error then (api/types.go, AuthorizationError), and beside error otherwise (StatusError).
func Error(w http.ResponseWriter, status int, code, message string) {
	body := map[string]any{
		"errors": []map[string]string{{"code": code, "message": message}},
		"error":  message,
	}
	if status == http.StatusUnauthorized {
		body["status"] = message
	}
	JSON(w, status, body)
}

// Warn adds the reason of an error to a reply that has no body, as a warning of the OCI
// distribution specification, "Warnings".
func Warn(w http.ResponseWriter, message string) {
	w.Header().Add("Warning", "299 - "+strconv.Quote(message))
}

// JSON writes v. Nobody may keep a copy of the reply.
func JSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the client may be gone
}
