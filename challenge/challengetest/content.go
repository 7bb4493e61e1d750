package challengetest

import (
	"bytes"
	"net/http"
	"time"
)

// serveContent serves what the OCI distribution specification calls pull, and
// hands the rest to servePush. The request is authorised.
func (r *Registry) serveContent(w http.ResponseWriter, req *http.Request, res resource) {
	switch {
	case !reads(req.Method):
		r.servePush(w, req, res)
	case res.kind == "manifests":
		m, no := r.store.manifest(res.repo, res.ref)
		if no != nil {
			no.write(w)
			return
		}
		serveData(w, req, m.mediaType, m.data)
	case res.kind == "blobs":
		r.serveBlob(w, req, res)
	case res.kind == "":
		writeJSON(w, http.StatusOK, struct{}{})
	default:
		refuse(http.StatusMethodNotAllowed, "UNSUPPORTED", "an upload cannot be read").write(w)
	}
}

func (r *Registry) serveBlob(w http.ResponseWriter, req *http.Request, res resource) {
	data, no := r.store.blob(res.repo, res.ref)
	if no != nil {
		no.write(w)
		return
	}
	if r.config.CDN && req.Method == http.MethodGet {
		http.Redirect(w, req, r.cdnURL+req.URL.Path, http.StatusTemporaryRedirect)
		return
	}
	serveData(w, req, "application/octet-stream", data)
}

// serveCDN serves blobs to requests without a token: S3 refuses those that it
// does not need one for, and a token that comes here went astray.
func (r *Registry) serveCDN(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Authorization") != "" {
		refuse(http.StatusBadRequest, "UNSUPPORTED", "this origin takes no Authorization header").write(w)
		return
	}
	res, ok := parseResource(req.URL.Path)
	if !ok || res.kind != "blobs" || !reads(req.Method) {
		refuse(http.StatusNotFound, "UNSUPPORTED", "only blobs are here").write(w)
		return
	}
	data, no := r.store.blob(res.repo, res.ref)
	if no != nil {
		no.write(w)
		return
	}
	serveData(w, req, "application/octet-stream", data)
}

// serveData answers GET and HEAD, and serves ranges.
func serveData(w http.ResponseWriter, req *http.Request, mediaType string, data []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", digestOf(data))
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
}
