package stage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ManifestType is the media type of the manifests that Push pushes.
const ManifestType = "application/vnd.oci.image.manifest.v1+json"

// Push pushes a small artifact with the tag v1: a blob that is its configuration and
// only layer, and a manifest.
func (s *Stage) Push(ctx context.Context, c *http.Client, repository string, blob []byte) error {
	res, err := Do(ctx, c, http.MethodPost, s.Origin+"/v2/"+repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		return err
	}
	query := to.Query()
	query.Set("digest", Digest(blob))
	to.RawQuery = query.Encode()
	if _, err := Do(ctx, c, http.MethodPut, to.String(), "application/octet-stream", blob); err != nil {
		return err
	}
	part := map[string]any{"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest(blob), "size": len(blob)}
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ManifestType, "config": part, "layers": []any{part}})
	if err != nil {
		return err
	}
	_, err = Do(ctx, c, http.MethodPut, s.Origin+"/v2/"+repository+"/manifests/v1", ManifestType, manifest)
	return err
}

// Do sends a request and reads the whole reply. A status from 400 on is an error.
func Do(ctx context.Context, c *http.Client, method, address, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", ManifestType+", */*")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return nil, err
	}
	if res.StatusCode >= 400 {
		return nil, fmt.Errorf("%s %s: %s", method, req.URL.Path, res.Status)
	}
	return res, nil
}

// Digest returns the digest of a blob.
func Digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
