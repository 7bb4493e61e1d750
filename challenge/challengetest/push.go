package challengetest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
)

// servePush stores manifests and blobs. A blob comes in one request or in several.
func (r *Registry) servePush(w http.ResponseWriter, req *http.Request, res resource) {
	data, err := io.ReadAll(req.Body)
	if err != nil {
		refuse(http.StatusBadRequest, "SIZE_INVALID", "the body broke off").write(w)
		return
	}
	var refused *refusal
	p := push{r, w, r.origin(req.Host)}
	switch {
	case res.kind == "manifests" && req.Method == http.MethodPut:
		refused = p.manifest(res, manifest{req.Header.Get("Content-Type"), data})
	case res.kind == "blobs/uploads" && req.Method == http.MethodPost:
		refused = p.startUpload(res.repo, req.URL.Query().Get("digest"), data)
	case res.kind == "blobs/uploads" && req.Method == http.MethodPatch:
		refused = p.continueUpload(res, data)
	case res.kind == "blobs/uploads" && req.Method == http.MethodPut:
		refused = p.finishUpload(res, req.URL.Query().Get("digest"), data)
	default:
		refused = refuse(http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry cannot do that")
	}
	if refused != nil {
		refused.write(w)
	}
}

// A push is the reply to one request that writes.
type push struct {
	*Registry
	w      http.ResponseWriter
	origin string // of the request
}

func (p push) manifest(res resource, m manifest) *refusal {
	digest, refused := p.store.putManifest(res.repo, res.ref, m)
	if refused != nil {
		return refused
	}
	p.created("/v2/"+res.repo+"/manifests/"+digest, digest)
	return nil
}

// startUpload stores a blob that comes with its digest, and otherwise begins an
// upload. Ollama sends the digest without the blob and expects an upload.
func (p push) startUpload(repo, digest string, data []byte) *refusal {
	if digest != "" && (len(data) > 0 || digest == digestOf(nil)) {
		return p.storeBlob(repo, digest, data)
	}
	upload := resource{repo, "blobs/uploads", rand.Text()}
	p.store.addUpload(upload, nil)
	p.accepted(upload, 0)
	return nil
}

func (p push) continueUpload(upload resource, data []byte) *refusal {
	all, refused := p.store.takeUpload(upload)
	if refused != nil {
		return refused
	}
	all = append(all, data...)
	p.store.addUpload(upload, all)
	p.accepted(upload, len(all))
	return nil
}

func (p push) finishUpload(upload resource, digest string, data []byte) *refusal {
	all, refused := p.store.takeUpload(upload)
	if refused != nil {
		return refused
	}
	return p.storeBlob(upload.repo, digest, append(all, data...))
}

func (p push) storeBlob(repo, digest string, data []byte) *refusal {
	if digest != digestOf(data) {
		return refuse(http.StatusBadRequest, "DIGEST_INVALID", "the blob has another digest")
	}
	p.store.putBlob(repo, data)
	p.created("/v2/"+repo+"/blobs/"+digest, digest)
	return nil
}

func (p push) created(path, digest string) {
	p.locate(path)
	p.w.Header().Set("Docker-Content-Digest", digest)
	p.w.WriteHeader(http.StatusCreated)
}

// accepted tells the client to continue the upload. The range's end is inclusive;
// it is "0-0" before the first byte.
func (p push) accepted(upload resource, size int) {
	p.locate("/v2/" + upload.repo + "/blobs/uploads/" + upload.ref)
	p.w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	p.w.WriteHeader(http.StatusAccepted)
}

// locate sets an absolute Location. The OCI specification allows a relative one,
// but Ollama sends its next request to this text as it is.
func (p push) locate(path string) { p.w.Header().Set("Location", p.origin+path) }

func (s *store) addUpload(upload resource, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(upload.repo).uploads[upload.ref] = data
}

// takeUpload removes an upload, so that two requests never write to one.
func (s *store) takeUpload(upload resource) ([]byte, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.repos[upload.repo].orEmpty().uploads[upload.ref]
	if !ok {
		return nil, s.unknown(upload.repo, "BLOB_UPLOAD_UNKNOWN", "no such upload")
	}
	delete(s.repos[upload.repo].uploads, upload.ref)
	return data, nil
}
