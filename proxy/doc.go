// Package proxy lets local programs that cannot sign use a server that wants
// signatures: curl, Python, registry clients, an unmodified Ollama.
//
// A [Proxy] listens on this machine and passes requests on to one server. It answers
// the server's challenges and signs requests with the key of its Client. Each program
// that can reach the proxy can use the key for that server, so the proxy refuses web
// pages of other sites, other users of the machine and, unless it is told otherwise,
// all requests that change the content of the server.
package proxy
