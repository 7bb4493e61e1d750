package gate_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/gate"
	"github.com/countersign/countersign/gate/config"
	"github.com/countersign/countersign/gate/setup"
)

func Example() {
	folder, err := os.MkdirTemp("", "gate")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	keys := backends.New()
	if _, err := setup.Init(context.Background(), setup.Options{
		Folder: folder, Listen: "127.0.0.1:8080", Origin: "http://127.0.0.1:8080", Registry: "http://127.0.0.1:5000",
		RootKey: "file:root.key", SigningKey: "file:token.key",
	}, keys.Mux(), time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	c, err := config.Load(filepath.Join(folder, setup.ConfigFile))
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := gate.New(c, gate.Options{Keys: keys, Log: slog.New(slog.DiscardHandler), Decisions: io.Discard})
	if err != nil {
		fmt.Println(err)
		return
	}
	request := httptest.NewRequest(http.MethodGet, "/v2/", nil)
	request.Host, request.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:1"
	reply := httptest.NewRecorder()
	g.Handler().ServeHTTP(reply, request)
	fmt.Println(reply.Code, reply.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="http://127.0.0.1:8080/token",service="127.0.0.1:8080"
}
