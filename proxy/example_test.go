package proxy_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/challenge/challengetest"
	"github.com/countersign/countersign/proxy"
)

// A program that cannot sign pulls through a proxy that can.
func ExampleProxy() {
	registry, err := challengetest.Start(challengetest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()
	registry.AddImage("library/demo", "latest", []byte("a layer"))
	upstream, err := url.Parse(registry.URL)
	if err != nil {
		log.Fatal(err)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	p := &proxy.Proxy{Upstream: upstream, Client: &challenge.Client{Key: challenge.StaticKey(newKey())}}
	if !proxy.KnowsUsers {
		p.Token = "a random text"
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- p.Serve(ctx, l) }()

	req, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+"/v2/library/demo/manifests/latest", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.SetBasicAuth("", p.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(resp.Status, strings.Contains(string(body), "application/vnd"))

	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// 200 OK true
	// ended: <nil>
}
