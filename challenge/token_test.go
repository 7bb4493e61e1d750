package challenge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// The cases are those of distribution's token specification.
func TestReadToken(t *testing.T) {
	data, err := os.ReadFile("testdata/token_responses.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Responses []struct {
			Name      string
			JSON      string
			Token     string
			TTL       int
			ExpiresAt time.Time `json:"expires_at"`
			Error     bool
			Note      string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2009, 11, 10, 23, 0, 0, 0, time.UTC)
	for _, tt := range file.Responses {
		t.Run(tt.Name, func(t *testing.T) {
			got, err := readToken([]byte(tt.JSON), http.Header{}, now)
			token := Token{got}
			if tt.Error {
				if !errors.Is(err, ErrReply) {
					t.Fatalf("error %v, want ErrReply", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.Note != "" {
				return // a decision of ours: TestLifetime
			}
			want := tt.ExpiresAt
			if want.IsZero() {
				want = now.Add(time.Duration(tt.TTL) * time.Second)
			}
			if token.Value() != tt.Token || !token.Expires().Equal(want) {
				t.Errorf("got %q until %v, want %q until %v", token.Value(), token.Expires(), tt.Token, want)
			}
		})
	}
}

// TestTokenAges: a token is renewed after three quarters of its lifetime, and not
// earlier than a minute before it expires.
func TestTokenAges(t *testing.T) {
	from := time.Unix(1700000000, 0)
	for lifetime, want := range map[time.Duration]time.Duration{
		100 * time.Second: 75 * time.Second,
		4 * time.Minute:   3 * time.Minute,
		time.Hour:         59 * time.Minute,
	} {
		token := Token{&issued{from: from, expires: from.Add(lifetime)}}
		if token.ageingAt(from.Add(want-time.Second)) || !token.ageingAt(from.Add(want)) {
			t.Errorf("lifetime %v: not renewed from %v on", lifetime, want)
		}
	}
}

func TestLifetime(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	date := func(d time.Duration) http.Header {
		return http.Header{"Date": {now.Add(d).Format(http.TimeFormat)}}
	}
	issued := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	tests := []struct {
		name   string
		json   string
		header http.Header
		want   time.Duration
	}{
		{"absent", `{"token":"t"}`, nil, time.Minute},
		{"null", `{"token":"t","expires_in":null}`, nil, time.Minute},
		{"in quotes", `{"token":"t","expires_in":"300"}`, nil, 5 * time.Minute},
		{"with a fraction", `{"token":"t","expires_in":300.0}`, nil, 5 * time.Minute},
		{"a duration", `{"token":"t","expires_in":"300s"}`, nil, 5 * time.Minute},
		{"a longer duration", `{"token":"t","expires_in":"48h"}`, nil, longestLifetime},
		{"a negative duration", `{"token":"t","expires_in":"-5m"}`, nil, 0},
		{"empty", `{"token":"t","expires_in":""}`, nil, time.Minute},
		{"true", `{"token":"t","expires_in":true}`, nil, time.Minute},
		{"a word", `{"token":"t","expires_in":"soon"}`, nil, time.Minute},
		{"not a number", `{"token":"t","expires_in":"NaN"}`, nil, time.Minute},
		{"infinite", `{"token":"t","expires_in":"Inf"}`, nil, longestLifetime},
		{"an object", `{"token":"t","expires_in":{"seconds":300}}`, nil, time.Minute},
		{"a list", `{"token":"t","expires_in":[300]}`, nil, time.Minute},
		{"a byte order mark", "\ufeff" + `{"token":"t","expires_in":300}`, nil, 5 * time.Minute},
		{"zero: for one request", `{"token":"t","expires_in":0}`, nil, 0},
		{"negative: for one request", `{"token":"t","expires_in":-1}`, nil, 0},
		{"beyond any duration", `{"token":"t","expires_in":1e300}`, nil, longestLifetime},
		{"issued a minute ago", `{"token":"t","expires_in":300,"issued_at":"` + issued(-time.Minute) + `"}`, date(0), 4 * time.Minute},
		{"no Date", `{"token":"t","expires_in":300,"issued_at":"` + issued(-time.Minute) + `"}`, nil, 4 * time.Minute},
		{"server an hour ahead", `{"token":"t","expires_in":300,"issued_at":"` + issued(time.Hour) + `"}`, date(time.Hour), 5 * time.Minute},
		{"server an hour behind", `{"token":"t","expires_in":300,"issued_at":"` + issued(-time.Hour) + `"}`, date(-time.Hour), 5 * time.Minute},
		{"an hour behind, no Date", `{"token":"t","expires_in":300,"issued_at":"` + issued(-time.Hour) + `"}`, nil, 5 * time.Minute},
		{"issued_at is no time", `{"token":"t","expires_in":300,"issued_at":"yesterday"}`, nil, 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readToken([]byte(tt.json), tt.header, now)
			if err != nil {
				t.Fatal(err)
			}
			token := Token{got}
			if got := token.Expires().Sub(now); got != tt.want {
				t.Errorf("good for %v, want %v", got, tt.want)
			}
			if tt.want > 0 && (!token.usableAt(now) || token.usableAt(token.Expires().Add(-time.Second))) {
				t.Error("not used from now until shortly before it expires")
			}
		})
	}
}

func TestReadTokenRefuses(t *testing.T) {
	for _, body := range []string{
		"", "<html>", "[]", `"t"`, "null", "{}", `{"token":""}`, `{"token":1}`, `{"token":"a b"}`,
		"{\"token\":\"a\\nb\"}", `{"token":"é"}`, `{"token":"t"`,
	} {
		if _, err := readToken([]byte(body), nil, time.Now()); !errors.Is(err, ErrReply) {
			t.Errorf("%s: error %v, want ErrReply", body, err)
		}
	}
}

func TestTokenDoesNotPrint(t *testing.T) {
	got, err := readToken([]byte(`{"token":"s3cret"}`), nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	token := Token{got}
	js, _ := json.Marshal([]any{token})
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{token, &token, struct{ T Token }{token}} {
			if got := fmt.Sprintf(format, v) + string(js); strings.Contains(got, "s3cret") || strings.Contains(got, "733363726574") {
				t.Errorf("%s of %T prints the secret: %s", format, v, got)
			}
		}
	}
}

func FuzzReadToken(f *testing.F) {
	f.Add(`{"token":"t"}`, "")
	f.Add(`{"access_token":"t","expires_in":"1e9","issued_at":"2026-01-02T03:04:05Z"}`, "Fri, 02 Jan 2026 03:04:05 GMT")
	f.Add(`{"token":"t","expires_in":-1}`, "yesterday")
	f.Add(`{"token":["t"]}`, "")
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body, date string) {
		got, err := readToken([]byte(body), http.Header{"Date": {date}}, now)
		if err != nil {
			if !errors.Is(err, ErrReply) {
				t.Errorf("%v is not ErrReply", err)
			}
			return
		}
		token := Token{got}
		if token.Value() == "" || strings.ContainsFunc(token.Value(), func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("token %q", token.Value())
		}
		if left := token.Expires().Sub(now); left < 0 || left > longestLifetime {
			t.Errorf("good for %v", left)
		}
	})
}
