package window

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
)

var errPull = errors.New("cannot be pulled")

// A manifest names the layers of a model (OCI image specification).
type manifest struct {
	Layers []layer `json:"layers"`
}

type layer struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// pull writes the layers of a model, such as "library/llama3:latest", to files.
func (t *Tab) pull(ctx context.Context, model string) error {
	name, tag, ok := strings.Cut(model, ":")
	if !ok {
		tag = "latest"
	}
	var m manifest
	resp, err := t.get(ctx, name, "manifests", tag)
	if err != nil {
		return err
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(&m)
	resp.Body.Close()
	if err != nil {
		return fmt.Errorf("manifest of %s %w: %w", model, errPull, err)
	}
	var done, total int64
	for _, l := range m.Layers {
		total += l.Size
	}
	fyne.Do(t.Bar.Show)
	for _, l := range m.Layers {
		err := t.pullLayer(ctx, name, l, func(n int) {
			done += int64(n)
			part := float64(done) / float64(max(total, 1))
			fyne.Do(func() { t.Bar.SetValue(part) })
		})
		if err != nil {
			return err
		}
	}
	fyne.Do(func() { t.Bar.SetValue(1) })
	return nil
}

func (t *Tab) pullLayer(ctx context.Context, name string, l layer, progress func(int)) error {
	algorithm, sum, _ := strings.Cut(l.Digest, ":")
	if want, err := hex.DecodeString(sum); algorithm != "sha256" || err != nil || len(want) != sha256.Size {
		return fmt.Errorf("layer %q %w: the digest is malformed", l.Digest, errPull)
	}
	resp, err := t.get(ctx, name, "blobs", l.Digest)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	folder := filepath.Join(t.window.folder, "blobs")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, "partial-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, hash, counter(progress)), io.LimitReader(resp.Body, l.Size+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != sum {
		return fmt.Errorf("layer %s %w: the content has another digest", l.Digest, errPull)
	}
	return os.Rename(f.Name(), filepath.Join(folder, "sha256-"+sum))
}

func (t *Tab) get(ctx context.Context, name, kind, reference string) (*http.Response, error) {
	u := t.client.Server.URL().JoinPath("v2", name, kind, reference)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s %w: %s", name, errPull, resp.Status)
	}
	return resp, nil
}

// A counter counts what is written to it.
type counter func(int)

func (c counter) Write(p []byte) (int, error) {
	c(len(p))
	return len(p), nil
}

func mustParse(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		return &url.URL{}
	}
	return u
}
