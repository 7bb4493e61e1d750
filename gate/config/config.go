// Package config reads the configuration file of countersignd.
//
// The file is TOML. [Parse] reports every mistake with its line. Paths in the file
// are relative to the folder of the file. The text that "countersignd init" writes
// ([Template]) explains each key.
package config

import (
	"net/netip"
	"net/url"
	"time"

	"github.com/countersign/countersign/challenge"
)

// A Config is the content of a configuration file. It does not change.
type Config struct {
	// File is the path of the file.
	File string

	// Listen has the addresses, "host:port", that clients connect to.
	Listen []string

	// Admin is the address, "host:port", of /metrics, /healthz and /readyz. Nobody
	// has to sign there. "" means none.
	Admin string

	// TrustedProxies are the proxies in front of the gate whose X-Forwarded-For is
	// believed. With none, the address of a client is that of its connection.
	TrustedProxies []netip.Prefix

	// Audit is the file that gets a line for each decision. "" means standard output.
	Audit string

	TLS    TLS
	Keys   Keys
	Replay Replay
	Limits Limits
	Sites  []Site
}

// TLS has the paths of the certificate chain and its key. Both are empty if a trusted
// proxy ends TLS, or if the gate listens on loopback.
type TLS struct{ Certificate, Key string }

// Keys has the paths of the files that tell whose keys are known.
type Keys struct {
	// Authorized is a file in the format of OpenSSH's authorized_keys.
	Authorized string

	// Denied lists keys, or fingerprints, that are refused whatever Authorized says.
	// "" means none.
	Denied string

	// Pending is the file of the keys that wait for approval. "" switches the
	// sign-in page off.
	Pending string
}

// Tokens tells how the tokens of a site are made. Site.Registry needs it, and so does
// the strong mode of Site.Ollama.
type Tokens struct {
	// Root is the file with the root certificate, which the registry has as its
	// rootcertbundle.
	Root string

	// RootKey is the reference of the root's key. Only "countersignd rotate" opens it.
	RootKey string

	// Certificate is the file with the leaf certificate of the signing key.
	Certificate string

	// SigningKey is the reference of the key that signs tokens.
	SigningKey string

	// Lifetime of a token.
	Lifetime time.Duration

	// BlobSecret is the file with the secret that authenticates the addresses of
	// blobs. All replicas have the same.
	BlobSecret string
}

// Replay tells how far the clocks of clients may differ, and where used nonces are kept.
type Replay struct {
	// Redis is the URL of the Redis server that several gates share. "" keeps nonces
	// in memory, for a single gate.
	Redis string

	// RedisPassword is a file with the password of Redis, or "".
	RedisPassword string

	// Past and Future limit the ts of token requests. A nonce is kept for both, and a
	// minute longer.
	Past, Future time.Duration
}

// Limits bounds the work that clients can cause.
type Limits struct {
	PerAddress int           // requests per second from an address, before their signatures are checked
	PerKey     int           // requests per second by a key
	Body       int64         // bytes of a request to an Ollama server
	Drain      time.Duration // how long a stop waits for streams
}

// A Site is a public origin with a registry, an Ollama server, or both.
type Site struct {
	Line   int // in the file
	Origin challenge.Origin

	// Registry is the address of the registry behind the gate, or nil.
	Registry *url.URL

	// Blobs is the second origin, which serves blobs to clients. It is the zero Origin
	// if the gate serves blobs itself.
	Blobs challenge.Origin

	// Ollama is the address of the Ollama server behind the gate, or nil.
	Ollama *url.URL

	// Path is the base path of the Ollama server at the public origin, which is cut
	// before a request is checked: "" or "/ollama".
	Path string

	// AcceptSignatures and AcceptTokens tell which requests the Ollama server may get:
	// signed ones, and those with a token of this gate (strong mode).
	AcceptSignatures, AcceptTokens bool

	// Grants is the file with the grants.
	Grants string

	// Tokens tells how the tokens of this site are made.
	Tokens Tokens
}

// HasTokens reports whether the site has a token endpoint.
func (s Site) HasTokens() bool { return s.Tokens.SigningKey != "" }

// Service is the name of the site in challenges and in the aud of its tokens.
func (s Site) Service() string { return s.Origin.URL().Host }

// Issuer is the iss of the tokens of the site.
func (s Site) Issuer() string { return s.Origin.String() }
