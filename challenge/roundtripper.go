package challenge

import (
	"io"
	"net/http"
)

// orDefault returns base, or http.DefaultTransport if base is nil.
func orDefault(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		return http.DefaultTransport
	}
	return base
}

// closeIdleConnections passes on what http.Client.CloseIdleConnections asks for.
func closeIdleConnections(base http.RoundTripper) {
	if c, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(body io.Closer) {
	if body != nil {
		body.Close()
	}
}

// drain reads the rest of a short body, so that the connection can be used again.
func drain(resp *http.Response) {
	const short = 4 << 10
	if resp.ContentLength >= 0 && resp.ContentLength <= short {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, short))
	}
	resp.Body.Close()
}
