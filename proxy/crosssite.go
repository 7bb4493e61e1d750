package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/printable"
)

// checkSite wants an origin as browsers send it. Pages of each site can send the origin
// "null".
func checkSite(site string) error {
	u, err := url.Parse(site)
	if err != nil || u.Host == "" || site != u.Scheme+"://"+u.Host || site != strings.ToLower(site) {
		return fmt.Errorf("allowed origin %q: want a scheme and a host in lower case, without a path, such as http://localhost:3000", printable.Text(site))
	}
	return nil
}

// isPreflight reports whether r asks, for a page of an allowed site, which requests it
// may send (Fetch standard, "CORS-preflight request").
func (p *Proxy) isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" &&
		slices.Contains(p.AllowOrigins, r.Header.Get("Origin"))
}

func (p *Proxy) answerPreflight(w http.ResponseWriter, r *http.Request) {
	p.protect(w.Header(), r)
	w.Header().Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	if r.Header.Get("Access-Control-Request-Private-Network") != "" { // from a page of another network (WICG, Private Network Access)
		w.Header().Set("Access-Control-Allow-Private-Network", "true")
	}
	if fields := r.Header.Get("Access-Control-Request-Headers"); fields != "" {
		w.Header().Set("Access-Control-Allow-Headers", fields)
	}
	w.WriteHeader(http.StatusNoContent)
}

// protect lets the page of an allowed site read a reply, and no reply become a page that
// may use the proxy. It removes the fields of the server, which knows another origin.
func (p *Proxy) protect(reply http.Header, r *http.Request) {
	for name := range reply {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(reply, name)
		}
	}
	reply.Set("Content-Security-Policy", "default-src 'none'; sandbox") // the server may send HTML
	reply.Set("X-Content-Type-Options", "nosniff")
	if len(p.AllowOrigins) == 0 {
		return
	}
	reply.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); slices.Contains(p.AllowOrigins, origin) {
		reply.Set("Access-Control-Allow-Origin", origin)
		reply.Set("Access-Control-Expose-Headers", "*")
	}
}
