package challengetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"math"
	"net/http"
	"regexp"
	"strings"
)

// A Fault is a handler around next, the handler of a part. It answers instead of
// next, or changes the request or the reply.
type Fault func(next http.Handler) http.Handler

// Always makes [Registry.Fail] keep a fault until [Registry.Heal].
const Always = math.MaxInt

type planned struct {
	fault Fault
	times int
}

// Fail gives the next requests at p a fault; times counts these requests. The faults
// of one part follow each other in the order of the calls of Fail.
func (r *Registry) Fail(p Part, times int, f Fault) {
	r.parts.mu.Lock()
	defer r.parts.mu.Unlock()
	r.parts.faults[p] = append(r.parts.faults[p], &planned{f, times})
}

// Heal removes all faults.
func (r *Registry) Heal() {
	r.parts.mu.Lock()
	defer r.parts.mu.Unlock()
	r.parts.faults = [numParts][]*planned{}
}

// nextFault returns the fault that is due at p, or nil. The caller holds s.mu.
func (s *parts) nextFault(p Part) Fault {
	queue := s.faults[p]
	if len(queue) == 0 {
		return nil
	}
	due := queue[0]
	if due.times--; due.times <= 0 {
		s.faults[p] = queue[1:]
	}
	return due.fault
}

// Reply answers with a status, a body and header fields, given as name, value,
// name, value. At Challenges it sends any challenge, or none without
// WWW-Authenticate. At Tokens it is an outage, a redirect or a page without JSON:
//
//	Reply(503, "", "Retry-After", "2")
func Reply(status int, body string, header ...string) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Add(header[i], header[i+1])
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
}

// WrongRealm replaces the realm in challenges.
func WrongRealm(realm string) Fault {
	return rewrite(func(reply *recorded) {
		line := reply.header.Get("WWW-Authenticate")
		reply.header.Set("WWW-Authenticate", realmParam.ReplaceAllLiteralString(line, `realm="`+realm+`"`))
	})
}

var realmParam = regexp.MustCompile(`realm="[^"]*"`)

// TokenReply lets edit change the members of a token endpoint's reply: token,
// expires_in and issued_at.
func TokenReply(edit func(reply map[string]any)) Fault {
	return rewrite(func(reply *recorded) {
		members := map[string]any{}
		if json.Unmarshal(reply.body.Bytes(), &members) != nil {
			return
		}
		edit(members)
		reply.body.Reset()
		json.NewEncoder(&reply.body).Encode(members)
	})
}

// A recorded reply is an http.ResponseWriter that keeps the reply in memory.
type recorded struct {
	header http.Header
	status int // 0 until the reply begins
	body   bytes.Buffer
}

func (r *recorded) Header() http.Header { return r.header }

func (r *recorded) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorded) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// rewrite changes the reply with edit before it is sent.
func rewrite(edit func(*recorded)) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			reply := &recorded{header: http.Header{}}
			next.ServeHTTP(reply, req)
			edit(reply)
			maps.Copy(w.Header(), reply.header)
			w.WriteHeader(cmp.Or(reply.status, http.StatusOK))
			w.Write(reply.body.Bytes())
		})
	}
}

// NeverSatisfied refuses every token as invalid.
func NeverSatisfied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" {
			req.Header.Set("Authorization", "Bearer unknown")
		}
		next.ServeHTTP(w, req)
	})
}

// Hold sends on arrived when a request comes; arrived may be nil. It holds the
// request until release is closed, and then serves it. It ends when the client
// closes the connection.
func Hold(arrived chan<- struct{}, release <-chan struct{}) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if arrived != nil {
				select {
				case arrived <- struct{}{}:
				case <-req.Context().Done():
				}
			}
			select {
			case <-release:
				next.ServeHTTP(w, req)
			case <-req.Context().Done():
				panic(http.ErrAbortHandler) // a return would send an empty 200
			}
		})
	}
}

// Huge answers with a token of at least n bytes and without a Content-Length.
func Huge(n int) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"token":"`)
			block := strings.Repeat("a", 64<<10)
			for sent := 0; sent < n; sent += len(block) {
				if _, err := io.WriteString(w, block); err != nil {
					return // the client closed the connection
				}
			}
			io.WriteString(w, `"}`)
		})
	}
}

// Cut closes the connection in the middle of the reply, because net/http does so
// after a handler that wrote less than its Content-Length.
func Cut(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, `{"token":"`)
	})
}
