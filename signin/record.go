package signin

import (
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/countersign/countersign/signer"
)

const (
	maxRecord = 64 << 10  // the limit for a state file, in bytes
	abandoned = time.Hour // after which a temporary file is of a process that was killed
)

// A record is what the state file holds: the key that was opened last, and its account
// when the server was asked last. It has no secret.
type record struct {
	Ref         string    `json:"ref"`
	Version     string    `json:"version"` // of the key in its store
	Fingerprint string    `json:"fingerprint"`
	Name        string    `json:"name,omitempty"`
	Email       string    `json:"email,omitempty"`
	Plan        string    `json:"plan,omitempty"`
	Seen        time.Time `json:"seen,omitzero"`
}

func (r record) account() Account {
	if r.Name == "" {
		return Account{}
	}
	return Account{r.Name, r.Email, r.Plan, r.Fingerprint}
}

// stateDir returns the folder countersign/signin below XDG_STATE_HOME (XDG Base Directory
// Specification) or, on macOS and Windows, below the folder for the configuration of
// programs. It is "" without a home.
func stateDir() string {
	dir, err := os.UserConfigDir()
	if runtime.GOOS != "darwin" && runtime.GOOS != "windows" {
		dir = os.Getenv("XDG_STATE_HOME")
		if err = nil; !filepath.IsAbs(dir) {
			dir, err = os.UserHomeDir()
			dir = filepath.Join(dir, ".local", "state")
		}
	}
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "countersign", "signin")
}

// stateFile returns the file in StateDir for Server and Key, or "" if there is no folder.
func (c *Client) stateFile() string {
	if c.StateDir == "" {
		return ""
	}
	name := url.QueryEscape(c.Server.String())
	if c.Key != "" {
		name += "+" + url.QueryEscape(c.Key)
	}
	return filepath.Join(c.StateDir, name+".json")
}

// remember notes the key that was opened. The account of another key is dropped.
func (c *Client) remember(ref string, key signer.Signer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.loadRecord()
	r := record{Ref: ref, Version: c.opened[ref].version, Fingerprint: ssh.FingerprintSHA256(key.PublicKey())}
	if r.Fingerprint == old.Fingerprint {
		r.Name, r.Email, r.Plan, r.Seen = old.Name, old.Email, old.Plan, old.Seen
	}
	if r != old {
		c.saveRecord(r)
	}
}

// rememberAccount notes the answer of the server for key. An error other than
// ErrNotConnected is none.
func (c *Client) rememberAccount(key signer.Signer, account Account, err error) {
	if err != nil && !errors.Is(err, ErrNotConnected) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.loadRecord()
	if r.Fingerprint != ssh.FingerprintSHA256(key.PublicKey()) {
		return
	}
	r.Name, r.Email, r.Plan, r.Seen = account.Name, account.Email, account.Plan, time.Now().Round(time.Second)
	c.saveRecord(r)
}

// loadRecord returns the record, or an empty one if there is none. The caller holds c.mu.
func (c *Client) loadRecord() record {
	if c.record != nil {
		return *c.record
	}
	c.record = &record{}
	f, err := os.Open(c.stateFile()) // which fails for ""
	if err != nil {
		return *c.record
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil || json.Unmarshal(data, c.record) != nil {
		c.record = &record{}
	}
	return *c.record
}

// saveRecord keeps r, and writes it if the disk allows that. The caller holds c.mu.
func (c *Client) saveRecord(r record) {
	c.record = &r
	c.tellChange()
	path := c.stateFile()
	data, err := json.Marshal(r)
	if err == nil && path != "" {
		_ = replaceFile(path, data) // the app works without
	}
}

// replaceFile writes a file of mode 0600, which appears whole or not at all.
func replaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	removeAbandoned(dir)
	f, err := os.CreateTemp(dir, ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// removeAbandoned removes the temporary files of processes that were killed.
func removeAbandoned(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, ".new-*"))
	for _, name := range names {
		if info, err := os.Lstat(name); err == nil && time.Since(info.ModTime()) > abandoned {
			_ = os.Remove(name)
		}
	}
}
