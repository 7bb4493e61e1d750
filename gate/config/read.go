package config

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/challenge"
	"github.com/countersign/countersign/gate/internal/tomlfile"
	"github.com/countersign/countersign/internal/printable"
	"github.com/countersign/countersign/signer"
)

// maxReference is the length of the longest reference, a path on Linux.
const maxReference = 4096

// Load reads the configuration file at path. Its errors are those of package os and
// of [Parse].
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, printable.Error(err)
	}
	return Parse(data, path)
}

// Parse reads a configuration from memory. Errors name the file as file, and paths in
// the file are relative to its folder. The error is all mistakes joined, each a
// *tomlfile.Error with its line.
func Parse(data []byte, file string) (*Config, error) {
	r := &reader{config: &Config{File: file}, folder: filepath.Dir(file)}
	if err := tomlfile.Read(data, file, r.root); err != nil {
		return nil, err
	}
	return r.config, nil
}

type reader struct {
	config *Config
	folder string
}

func (r *reader) root(s *tomlfile.Section) {
	c := r.config
	c.Listen = r.addresses(s, "listen")
	c.Admin = r.address(s, "admin")
	c.TrustedProxies = r.prefixes(s, "trusted_proxies")
	c.Audit = r.path(s, "audit")
	r.tls(s.Section("tls"))
	r.keys(s.Section("keys"))
	r.replay(s.Section("replay"))
	r.limits(s.Section("limits"))
	for _, site := range s.Sections("site") {
		r.site(site)
	}
	if !s.Has("listen") {
		s.Errorf("listen", `missing: give the addresses to listen on, such as ["127.0.0.1:8443"]`)
	}
	r.checkEmpty(s, "listen", `give an address, such as "127.0.0.1:8443"`)
	if !s.Has("site") {
		s.Errorf("site", "missing: write a section [[site]] for each public origin")
	}
	r.checkSites(s)
	r.checkPlain(s)
}

func (r *reader) tls(s *tomlfile.Section) {
	t := &r.config.TLS
	t.Certificate, t.Key = r.path(s, "certificate"), r.path(s, "key")
	if (t.Certificate == "") != (t.Key == "") {
		s.ErrorAt(s.Line("certificate"), "tls: certificate and key belong together: give both or neither")
	}
}

func (r *reader) keys(s *tomlfile.Section) {
	k := &r.config.Keys
	k.Authorized, k.Denied, k.Pending = r.path(s, "authorized"), r.path(s, "denied"), r.path(s, "pending")
	if k.Authorized == "" && !s.Has("authorized") {
		s.Errorf("authorized", `missing: give the file with the known keys, such as "authorized_keys"`)
	}
}

func (r *reader) tokens(s *tomlfile.Section) Tokens {
	t := Tokens{
		Root:        r.path(s, "root"),
		RootKey:     r.reference(s, "root_key"),
		Certificate: r.path(s, "certificate"),
		SigningKey:  r.reference(s, "signing_key"),
		Lifetime:    s.Duration("lifetime", 5*time.Minute),
		BlobSecret:  r.path(s, "blob_secret"),
	}
	if t.Lifetime < time.Minute || t.Lifetime > time.Hour {
		s.Errorf("lifetime", "want a minute to an hour: a removed key can use its tokens at a registry that is reachable without the gate")
	}
	return t
}

func (r *reader) replay(s *tomlfile.Section) {
	r.config.Replay = Replay{
		Redis:         s.Text("redis"),
		RedisPassword: r.path(s, "redis_password"),
		Past:          s.Duration("past", 5*time.Minute),
		Future:        s.Duration("future", 30*time.Second),
	}
	if r.config.Replay.Past > time.Hour {
		s.Errorf("past", "want at most an hour")
	}
	if r.config.Replay.Future > time.Minute {
		s.Errorf("future", "want at most a minute: the gate answers such a request when its time has come")
	}
	if u, err := url.Parse(r.config.Replay.Redis); s.Has("redis") && (err != nil || u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix") {
		s.Errorf("redis", `want a URL such as "redis://127.0.0.1:6379/0"`)
	} else if err == nil && u.User != nil {
		if _, ok := u.User.Password(); ok {
			s.Errorf("redis", "it holds a password: put the password into a file, and name the file in redis_password")
		}
	}
}

func (r *reader) limits(s *tomlfile.Section) {
	r.config.Limits = Limits{
		PerAddress: s.Number("per_address", 50),
		PerKey:     s.Number("per_key", 100),
		Body:       int64(s.Number("body_mb", 64)) << 20,
		Drain:      s.Duration("drain", 30*time.Second),
	}
}

func (r *reader) site(s *tomlfile.Section) {
	site := Site{
		Line:     s.Line(""),
		Registry: r.upstream(s, "registry"),
		Ollama:   r.upstream(s, "ollama"),
		Path:     s.Text("path"),
		Grants:   r.path(s, "grants"),
		Tokens:   r.tokens(s.Section("tokens")),
	}
	site.Origin = r.origin(s, "origin")
	site.Blobs = r.origin(s, "blobs")
	for _, a := range s.Texts("accept") {
		switch a.Value {
		case "signature":
			site.AcceptSignatures = true
		case "token":
			site.AcceptTokens = true
		default:
			s.ErrorAt(a.Line, `accept: %s is unknown: want "signature", "token" or both`, printable.Quote(a.Value))
		}
	}
	r.checkEmpty(s, "accept", `no request would be accepted: give "signature", "token" or both`)
	if !s.Has("accept") {
		site.AcceptSignatures, site.AcceptTokens = true, site.Registry != nil
	}
	r.checkSite(s, site)
	r.config.Sites = append(r.config.Sites, site)
}

func (r *reader) checkSite(s *tomlfile.Section, site Site) {
	missing := func(key, hint string) {
		if !s.Has(key) {
			s.Errorf(key, "missing: %s", hint)
		}
	}
	missing("origin", `give the public origin of the site, such as "https://registry.example.com"`)
	missing("grants", `give the file with the grants, such as "grants.toml"`)
	if site.Registry == nil && site.Ollama == nil && !s.Has("registry") && !s.Has("ollama") {
		s.ErrorAt(site.Line, "site: nothing is behind it: give registry, ollama or both")
	}
	if site.Ollama == nil && (s.Has("path") || s.Has("accept")) {
		s.ErrorAt(site.Line, "site: path and accept are for an Ollama server, and ollama is missing")
	}
	if p := site.Path; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || strings.ContainsAny(p, "%;?#\\ ") || strings.Contains(p, "//") || strings.Contains(p, "/.")) {
		s.Errorf("path", `want a path that starts and does not end with a slash, such as "/ollama"`)
	}
	if s.Has("blobs") && site.Registry == nil {
		s.Errorf("blobs", "it is for a registry, and registry is missing")
	}
	r.checkBlobs(s, site)
	t := site.Tokens
	if site.Registry != nil || site.AcceptTokens {
		for _, need := range []struct{ key, value string }{{"root", t.Root}, {"certificate", t.Certificate}, {"signing_key", t.SigningKey}} {
			if need.value == "" {
				s.ErrorAt(site.Line, "site: it needs tokens, and [site.tokens] lacks %s: countersignd init makes it", need.key)
			}
		}
	}
	if site.Blobs != (challenge.Origin{}) && t.BlobSecret == "" {
		s.Errorf("blobs", "it needs blob_secret in [site.tokens]: countersignd init makes it")
	}
}

// checkBlobs wants another host name than the registry's and none below it: Go's
// client follows a redirect to a subdomain with the token.
func (r *reader) checkBlobs(s *tomlfile.Section, site Site) {
	if site.Blobs == (challenge.Origin{}) || site.Origin == (challenge.Origin{}) {
		return
	}
	registry, blobs := site.Origin.URL(), site.Blobs.URL()
	switch {
	case registry.Hostname() == blobs.Hostname():
		s.Errorf("blobs", "want another host name than the origin's: Ollama follows blobs only to another host name")
	case strings.HasSuffix(blobs.Hostname(), "."+registry.Hostname()):
		s.Errorf("blobs", "want a host name that is not below the origin's: clients send their tokens to subdomains")
	case registry.Scheme == "https" && blobs.Scheme != "https":
		s.Errorf("blobs", "want https, as the origin has")
	}
}

// checkSites refuses two sites with the same origin, from which issuer and service are
// derived, or with the same signing key: a token of one would be valid at the other.
func (r *reader) checkSites(s *tomlfile.Section) {
	owners := map[challenge.Origin]int{}
	keys := map[string]int{}
	for _, site := range r.config.Sites {
		for _, o := range []challenge.Origin{site.Origin, site.Blobs} {
			if o == (challenge.Origin{}) {
				continue
			}
			if line, taken := owners[o]; taken {
				s.ErrorAt(site.Line, "site: %s belongs to the site in line %d: its tokens would be valid here", o, line)
			}
			owners[o] = site.Line
		}
		key := site.Tokens.SigningKey
		if line, taken := keys[key]; taken && key != "" {
			s.ErrorAt(site.Line, "site: its signing_key is that of the site in line %d: its tokens would be valid here", line)
		}
		keys[key] = site.Line
	}
}

// checkPlain refuses to serve other machines without TLS, unless a proxy is trusted
// to have it.
func (r *reader) checkPlain(s *tomlfile.Section) {
	if r.config.TLS.Certificate != "" || len(r.config.TrustedProxies) > 0 {
		return
	}
	for _, address := range r.config.Listen {
		host, _, _ := net.SplitHostPort(address)
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			s.Errorf("listen", "%s is not on loopback: set certificate and key in [tls], or trusted_proxies", address)
		}
	}
}

func (r *reader) address(s *tomlfile.Section, key string) string {
	text := s.Text(key)
	if s.Has(key) {
		r.checkAddress(s, key, tomlfile.Text{Value: text, Line: s.Line(key)})
	}
	return text
}

func (r *reader) addresses(s *tomlfile.Section, key string) (all []string) {
	for _, t := range s.Texts(key) {
		r.checkAddress(s, key, t)
		all = append(all, t.Value)
	}
	return all
}

// checkEmpty refuses an empty list.
func (r *reader) checkEmpty(s *tomlfile.Section, key, hint string) {
	if s.IsEmpty(key) {
		s.Errorf(key, "the list is empty: %s", hint)
	}
}

func (r *reader) checkAddress(s *tomlfile.Section, key string, t tomlfile.Text) {
	if _, port, err := net.SplitHostPort(t.Value); err != nil || port == "" {
		s.ErrorAt(t.Line, `%s: want "host:port", such as "127.0.0.1:8443"`, key)
	}
}

func (r *reader) prefixes(s *tomlfile.Section, key string) (all []netip.Prefix) {
	for _, t := range s.Texts(key) {
		prefix, err := netip.ParsePrefix(t.Value)
		if ip, e := netip.ParseAddr(t.Value); err != nil && e == nil {
			prefix, err = ip.Prefix(ip.BitLen())
		}
		if err != nil {
			s.ErrorAt(t.Line, `%s: want addresses or networks, such as "127.0.0.1" or "10.0.0.0/8"`, key)
			continue
		}
		all = append(all, prefix)
	}
	return all
}

func (r *reader) origin(s *tomlfile.Section, key string) challenge.Origin {
	text := s.Text(key)
	if text == "" {
		if s.Has(key) {
			s.Errorf(key, `want an origin, such as "https://registry.example.com"`)
		}
		return challenge.Origin{}
	}
	o, err := challenge.ParseOrigin(text)
	if err != nil {
		s.Errorf(key, "%v", err)
	}
	return o
}

func (r *reader) upstream(s *tomlfile.Section, key string) *url.URL {
	text := s.Text(key)
	if text == "" {
		return nil
	}
	o, err := challenge.ParseOrigin(text)
	if err != nil || !strings.Contains(text, "://") {
		s.Errorf(key, `want the address of the server behind the gate without a path, such as "http://127.0.0.1:5000"`)
		return nil
	}
	return o.URL()
}

// path returns the path of a file, absolute or below the folder of the configuration.
func (r *reader) path(s *tomlfile.Section, key string) string {
	path := s.Text(key)
	if path == "" {
		return ""
	}
	if signer.CheckName(path, maxReference) != nil {
		s.Errorf(key, "want the path of a file")
		return ""
	}
	return r.below(path)
}

func (r *reader) below(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.folder, path)
}

// reference returns a reference to a key. The path in a file: reference may be
// relative to the folder of the configuration, as other paths.
func (r *reader) reference(s *tomlfile.Section, key string) string {
	ref := s.Text(key)
	if !s.Has(key) {
		return ""
	}
	if err := signer.CheckReference(ref, maxReference); err != nil {
		s.Errorf(key, "%v", err)
		return ""
	}
	if path, ok := strings.CutPrefix(ref, "file:"); ok && !strings.HasPrefix(path, "~") {
		return "file:" + r.below(path)
	}
	return ref
}

// SiteOf returns the site whose public or blobs origin is o.
func (c *Config) SiteOf(o challenge.Origin) (Site, bool) {
	i := slices.IndexFunc(c.Sites, func(s Site) bool { return s.Origin == o || s.Blobs == o })
	if i < 0 {
		return Site{}, false
	}
	return c.Sites[i], true
}
