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

// A store holds manifests, blobs and uploads. The zero value is empty.
type store struct {
	mu    sync.Mutex // guards repos
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

// putManifest stores m under its digest and under ref, which is a tag, the same
// digest or "".
func (s *store) putManifest(name, ref string, m manifest) (digest string, refused *refusal) {
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

// unknown returns the refusal for an absent item: either the repository called name
// is absent, or the item with this code and message. The caller holds s.mu.
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

// repo returns the repository called name and makes it if it is absent. The caller
// holds s.mu.
func (s *store) repo(name string) *repo {
	if s.repos == nil {
		s.repos = map[string]*repo{}
	}
	if s.repos[name] == nil {
		s.repos[name] = &repo{map[string][]byte{}, map[string]manifest{}, map[string][]byte{}}
	}
	return s.repos[name]
}
