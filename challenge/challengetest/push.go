package challengetest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
)

// servePush takes manifests and uploads of blobs, in one piece or in many.
func (r *Registry) servePush(w http.ResponseWriter, req *http.Request, res resource) {
	data, err := io.ReadAll(req.Body)
	if err != nil {
		refuse(http.StatusBadRequest, "SIZE_INVALID", "the body broke off").write(w)
		return
	}
	var no *refusal
	switch {
	case res.kind == "manifests" && req.Method == http.MethodPut:
		no = r.pushManifest(w, res, manifest{req.Header.Get("Content-Type"), data})
	case res.kind == "blobs/uploads" && req.Method == http.MethodPost:
		no = r.startUpload(w, res.repo, req.URL.Query().Get("digest"), data)
	case res.kind == "blobs/uploads" && req.Method == http.MethodPatch:
		no = r.continueUpload(w, res, data)
	case res.kind == "blobs/uploads" && req.Method == http.MethodPut:
		no = r.finishUpload(w, res, req.URL.Query().Get("digest"), data)
	default:
		no = refuse(http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry cannot do that")
	}
	if no != nil {
		no.write(w)
	}
}

func (r *Registry) pushManifest(w http.ResponseWriter, res resource, m manifest) *refusal {
	digest, no := r.store.putManifest(res.repo, res.ref, m)
	if no != nil {
		return no
	}
	created(w, "/v2/"+res.repo+"/manifests/"+digest, digest)
	return nil
}

func (r *Registry) startUpload(w http.ResponseWriter, repo, digest string, data []byte) *refusal {
	if digest != "" {
		return r.storeBlob(w, repo, digest, data)
	}
	upload := resource{repo, "blobs/uploads", rand.Text()}
	r.store.addUpload(upload, nil)
	accepted(w, upload, 0)
	return nil
}

func (r *Registry) continueUpload(w http.ResponseWriter, upload resource, data []byte) *refusal {
	all, no := r.store.takeUpload(upload)
	if no != nil {
		return no
	}
	all = append(all, data...)
	r.store.addUpload(upload, all)
	accepted(w, upload, len(all))
	return nil
}

func (r *Registry) finishUpload(w http.ResponseWriter, upload resource, digest string, data []byte) *refusal {
	all, no := r.store.takeUpload(upload)
	if no != nil {
		return no
	}
	return r.storeBlob(w, upload.repo, digest, append(all, data...))
}

func (r *Registry) storeBlob(w http.ResponseWriter, repo, digest string, data []byte) *refusal {
	if digest != digestOf(data) {
		return refuse(http.StatusBadRequest, "DIGEST_INVALID", "the blob has another digest")
	}
	r.store.putBlob(repo, data)
	created(w, "/v2/"+repo+"/blobs/"+digest, digest)
	return nil
}

func created(w http.ResponseWriter, location, digest string) {
	w.Header().Set("Location", location)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

// accepted says where an upload goes on. The range's end is inclusive, and "0-0"
// before the first byte.
func accepted(w http.ResponseWriter, upload resource, size int) {
	w.Header().Set("Location", "/v2/"+upload.repo+"/blobs/uploads/"+upload.ref)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	w.WriteHeader(http.StatusAccepted)
}

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
