package challenge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

const secretToken = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl+/8w=="

func TestSecretsAreLimited(t *testing.T) {
	var s secrets
	for i := range 10 * maxSecrets {
		s.add(strconv.Itoa(i))
	}
	all := s.all()
	if len(all) != maxSecrets {
		t.Errorf("%d secrets, want %d", len(all), maxSecrets)
	}
	oldest := 9 * maxSecrets
	for _, value := range all {
		if n, err := strconv.Atoi(value); err != nil || n < oldest {
			t.Errorf("%s is still there and newer ones are not", value)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", &s, &s, s.recent); strings.Contains(got, strconv.Itoa(10*maxSecrets-1)) {
		t.Errorf("printing shows a secret: %s", got)
	}
}

func TestServerTextHasNoAuthorization(t *testing.T) {
	for header, parts := range map[string][]string{
		"Bearer SECRET":                         {"SECRET"},
		"bearer " + secretToken:                 {secretToken},
		"SECRET":                                {"SECRET"},
		"Basic YWxpY2U6aHVudGVyMg==":            {"YWxpY2U6aHVudGVyMg==", "hunter2"},
		"AAAAC3NzaC1lZDI1:c2lnbmF0dXJlc2lnbmF0": {"c2lnbmF0dXJlc2lnbmF0", "AAAAC3NzaC1lZDI1:c2lnbmF0dXJlc2lnbmF0"},
	} {
		for _, field := range []string{"Authorization", "Proxy-Authorization"} {
			for _, part := range parts {
				req := &http.Request{Header: http.Header{field: {header}}}
				body, _ := json.Marshal(map[string]string{"error": "cannot take " + part + ", alice"})
				got := ServerText(&http.Response{Request: req, Body: io.NopCloser(strings.NewReader(string(body)))})
				if strings.ReplaceAll(got, "=", "") != "cannot take [removed], alice" {
					t.Errorf("%s %s: %q", field, header, got)
				}
			}
		}
	}
}

func TestRedactedErrorKeepsItsCauses(t *testing.T) {
	cause := &url.Error{Op: "Get", URL: "u", Err: io.ErrUnexpectedEOF}
	err := redactError(fmt.Errorf("token %s: %w", secretToken, cause), []string{secretToken})
	var u *url.Error
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &u) {
		t.Errorf("%v lost its causes", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(format, &Error{Err: err}) + fmt.Sprintf(format, err); strings.Contains(got, "c2lnbmF0") {
			t.Errorf("%s prints %s", format, got)
		}
	}
	if same := redactError(cause, []string{secretToken}); same != error(cause) {
		t.Errorf("an error without a secret becomes %v", same)
	}
}
