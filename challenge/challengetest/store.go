package challengetest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.empty.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

// A store holds what was pushed. The zero value is empty.
type store struct {
	mu    sync.Mutex // guards what follows
	repos map[string]*repo
}

type repo struct {
	blobs     map[string][]byte   // by digest
	manifests map[string]manifest // by tag and by digest
	uploads   map[string][]byte   // by id, unfinished
}

type manifest struct {
	mediaType string
	data      []byte
}

// AddImage stores an image of these layers under a name such as
// "library/llama3" and a tag, and returns the digests of the layers.
func (r *Registry) AddImage(name, tag string, layers ...[]byte) []string {
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	add := func(mediaType string, data []byte) descriptor {
		return descriptor{mediaType, r.store.putBlob(name, data), len(data)}
	}
	image := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{2, manifestType, add(configType, []byte("{}")), []descriptor{}}
	var digests []string
	for _, data := range layers {
		layer := add(layerType, data)
		image.Layers = append(image.Layers, layer)
		digests = append(digests, layer.Digest)
	}
	data, _ := json.Marshal(image) // strings and numbers only
	r.store.putManifest(name, tag, manifest{manifestType, data})
	return digests
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *store) blob(name, digest string) ([]byte, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.repos[name].orEmpty().blobs[digest]
	if !ok {
		return nil, s.unknown(name, "BLOB_UNKNOWN", "no such blob under this name")
	}
	return data, nil
}

func (s *store) manifest(name, ref string) (manifest, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.repos[name].orEmpty().manifests[ref]
	if !ok {
		return manifest{}, s.unknown(name, "MANIFEST_UNKNOWN", "no such manifest under this name")
	}
	return m, nil
}

func (s *store) putBlob(name string, data []byte) (digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	digest = digestOf(data)
	s.repo(name).blobs[digest] = data
	return digest
}

// putManifest stores m by its digest and by ref, a tag or the same digest.
func (s *store) putManifest(name, ref string, m manifest) (digest string, no *refusal) {
	digest = digestOf(m.data)
	if strings.Contains(ref, ":") && ref != digest {
		return "", refuse(http.StatusBadRequest, "DIGEST_INVALID", "the manifest has another digest")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).manifests[digest] = m
	s.repo(name).manifests[cmp.Or(ref, digest)] = m
	return digest, nil
}

// unknown says what is missing: something in a repository, or the repository.
// s.mu must be held.
func (s *store) unknown(name, code, message string) *refusal {
	if s.repos[name] == nil {
		return refuse(http.StatusNotFound, "NAME_UNKNOWN", "nothing was pushed under this name")
	}
	return refuse(http.StatusNotFound, code, message)
}

func (p *repo) orEmpty() *repo {
	if p == nil {
		return new(repo)
	}
	return p
}

// repo returns the repository of that name, a new one if need be. s.mu must be
// held.
func (s *store) repo(name string) *repo {
	if s.repos == nil {
		s.repos = map[string]*repo{}
	}
	if s.repos[name] == nil {
		s.repos[name] = &repo{map[string][]byte{}, map[string]manifest{}, map[string][]byte{}}
	}
	return s.repos[name]
}
