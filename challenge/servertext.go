package challenge

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/internal/redact"
)

// ServerText reads the start of a response's body and returns the server's own words
// in it, on one line and fit for a terminal; "" if there are none. It finds them in
// JSON, also in lists and nested objects: in "message", "msg", "reason", "detail",
// "details", "error", "errors", "error_description", "title" and "code"; in the title
// of an HTML page; in the Message of an XML document; and, if the status is an error,
// in plain text. Tokens, signatures and Authorization values of the request are removed.
//
// Formats: Ollama; OAuth 2.0 (RFC 6749, section 5.2); OCI distribution
// specification, "Error Codes"; problem details (RFC 9457); S3.
func ServerText(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply)) // a part of the text is better than none
	return redact.Text(serverText(resp.StatusCode, body), secretsOf(resp.Request))
}

func serverText(status int, body []byte) string {
	body = bytes.TrimSpace(withoutBOM(body))
	var reply any
	switch isJSON := json.Unmarshal(body, &reply) == nil; {
	case isJSON:
		if text, ok := reply.(string); ok {
			return plainText(status, text)
		}
		return printable.Text(strings.Join(messagesIn(reply, 0), " "))
	case bytes.HasPrefix(body, []byte("<")):
		return printable.Text(cmp.Or(elementOf(string(body), "title"), elementOf(string(body), "message")))
	}
	return plainText(status, string(body))
}

// plainText returns the text of an error. A text in another reply may be a secret,
// such as a bare token.
func plainText(status int, text string) string {
	if status < http.StatusBadRequest || !utf8.ValidString(text) {
		return ""
	}
	return printable.Text(text)
}

// messagesIn returns the messages in a JSON value, without repetitions.
func messagesIn(value any, depth int) []string {
	const maxDepth = 4
	if depth > maxDepth {
		return nil
	}
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, v := range value {
			all = appendNew(all, messagesIn(v, depth+1)...)
		}
		return all
	case map[string]any:
		return messagesOf(value, depth)
	}
	return nil
}

// messagesOf returns the message of an object, from the most telling name that it
// has, and its details.
func messagesOf(object map[string]any, depth int) []string {
	fields := map[string]any{}
	for name, value := range object {
		fields[strings.ToLower(name)] = value
	}
	messages := func(names ...string) []string {
		for _, name := range names {
			if found := messagesIn(fields[name], depth+1); len(found) > 0 {
				return found
			}
		}
		return nil
	}
	all := messages("error_description", "message", "msg", "reason", "error", "title", "code")
	all = appendNew(all, messages("detail", "details")...)
	errs := messages("errors")
	if byField, ok := fields["errors"].(map[string]any); ok && len(errs) == 0 {
		for _, name := range slices.Sorted(maps.Keys(byField)) {
			errs = append(errs, name+": "+strings.Join(messagesIn(byField[name], depth+2), " "))
		}
	}
	return appendNew(all, errs...)
}

// appendNew appends the texts that are not empty and not in all.
func appendNew(all []string, texts ...string) []string {
	for _, text := range texts {
		if text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// elementOf returns the text of the first element of that name, in any case, in an HTML
// page or XML document.
func elementOf(page, name string) string {
	lower := lowerASCII(page) // of the same length
	start := strings.Index(lower, "<"+name)
	if start < 0 {
		return ""
	}
	lower, page = lower[start:], page[start:]
	open, end := strings.IndexByte(lower, '>'), strings.Index(lower, "</"+name)
	if open < 0 || end < open {
		return ""
	}
	return strings.Join(strings.Fields(html.UnescapeString(page[open+1:end])), " ")
}

// rejection returns ErrRejected, with the reason if that is the scope (RFC 6750, section
// 3.1, and RFC 6749, section 5.2).
func rejection(header http.Header, body []byte) error {
	var reply struct {
		Error any `json:"error"`
	}
	_ = json.Unmarshal(withoutBOM(body), &reply) // without it the header decides
	reason, _ := reply.Error.(string)
	if ch, err := Bearer(header); err == nil && ch.Get("error") != "" {
		reason = ch.Get("error")
	}
	if reason == "insufficient_scope" || reason == "invalid_scope" {
		return fmt.Errorf("%w: the key is not allowed to use this scope", ErrRejected)
	}
	return ErrRejected
}

// isHTML reports whether a reply is a page for people.
func isHTML(header http.Header, body []byte) bool {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	start := lowerASCII(string(bytes.TrimSpace(withoutBOM(body))))
	return kind == "text/html" || strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")
}
