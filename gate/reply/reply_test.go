package reply_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/gate/reply"
)

func TestError(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusUnauthorized: `{"error":"no","errors":[{"code":"DENIED","message":"no"}],"status":"no"}` + "\n",
		http.StatusForbidden:    `{"error":"no","errors":[{"code":"DENIED","message":"no"}]}` + "\n",
	} {
		w := httptest.NewRecorder()
		reply.Error(w, status, reply.Denied, "no")
		if diff := cmp.Diff(want, w.Body.String()); w.Code != status || diff != "" {
			t.Errorf("%d (-want +got):\n%s", w.Code, diff)
		}
	}
}
