package challengetest

import (
	"bytes"
	"net/http"
	"time"
)

// serveContent serves an authorised request: the endpoints to pull of the OCI
// distribution specification, and with servePush those to push.
func (r *Registry) serveContent(w http.ResponseWriter, req *http.Request, res resource) {
	switch {
	case !isRead(req.Method):
		r.servePush(w, req, res)
	case res.kind == "manifests":
		m, refused := r.store.manifest(res.repo, res.ref)
		if refused != nil {
			refused.write(w)
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
	data, refused := r.store.blob(res.repo, res.ref)
	if refused != nil {
		refused.write(w)
		return
	}
	if r.config.CDN && req.Method == http.MethodGet {
		http.Redirect(w, req, r.cdnURL+req.URL.Path, http.StatusTemporaryRedirect)
		return
	}
	serveData(w, req, "application/octet-stream", data)
}

// serveCDN serves blobs to requests without a token. It refuses a token, as S3 does,
// because the client must not send the token to this origin.
func (r *Registry) serveCDN(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Authorization") != "" {
		refuse(http.StatusBadRequest, "UNSUPPORTED", "this origin takes no Authorization header").write(w)
		return
	}
	res, ok := parseResource(req.URL.Path)
	if !ok || res.kind != "blobs" || !isRead(req.Method) {
		refuse(http.StatusNotFound, "UNSUPPORTED", "only blobs are here").write(w)
		return
	}
	data, refused := r.store.blob(res.repo, res.ref)
	if refused != nil {
		refused.write(w)
		return
	}
	serveData(w, req, "application/octet-stream", data)
}

// serveData answers GET and HEAD, also for a range of the data.
func serveData(w http.ResponseWriter, req *http.Request, mediaType string, data []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", digestOf(data))
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
}
