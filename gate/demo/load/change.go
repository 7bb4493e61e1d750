package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/countersign/countersign/backends"
	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/gate/token"
	"github.com/countersign/countersign/signer"
)

// changes are made again and again, each for itself. Each returns when its n-th change is
// in force.
var changes = []func(l *load, ctx context.Context, n int) error{
	(*load).changeKey, (*load).changeGrants, (*load).changeCertificate, (*load).changeSigningKey,
}

// change writes something and waits until it is in force. It notes when the last request
// was sent that found the state before.
func (l *load) change(what string, write func() error, isInForce func() bool) error {
	if err := write(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	start := time.Now()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for last := time.Duration(0); ; {
		sent := time.Since(start)
		if isInForce() {
			l.tally.changed(what, last)
			return nil
		}
		if last = sent; last > timeout {
			return fmt.Errorf("%s: not in force after %v", what, timeout)
		}
		<-ticker.C
	}
}

// changeKey gives a user a new key: it enrols the key, lets the user change to it, and
// removes the one before.
func (l *load) changeKey(ctx context.Context, n int) error {
	u := l.users[n%len(l.users)]
	next, err := newIdentity(u.name, n)
	if err != nil {
		return err
	}
	err = l.change("a key is enrolled", func() error { return l.writeKeys(next) }, func() bool {
		return l.call(ctx, l.kept, next, http.MethodGet, "/api/tags", tags) == nil
	})
	if err != nil {
		return err
	}
	if err := l.complete(ctx, next); err != nil {
		return fmt.Errorf("a key is enrolled: %w", err)
	}
	u.mu.Lock()
	last := u.now
	u.now = next
	u.mu.Unlock()
	err = l.change("a key is removed", func() error { return l.writeKeys(nil) }, func() bool {
		for _, k := range kinds {
			if !isRefusal(k.send(ctx, l, last)) {
				return false
			}
		}
		return true
	})
	l.gone.add(last)
	return err
}

// changeGrants grants the operator one repository after another.
func (l *load) changeGrants(ctx context.Context, n int) error {
	path := filepath.Join(l.stage.Folder, setup.GrantsFile)
	return l.change("a grant is added", func() error { return replace(path, []byte(grantsText(n))) }, func() bool {
		_, err := l.token(ctx, l.operator, fmt.Sprintf("repository:shared/%d:pull", n))
		return err == nil
	})
}

func grantsText(n int) string {
	return fmt.Sprintf(`
[[grant]]
names = ["*"]
repositories = ["users/${name}/*"]
actions = ["pull", "push"]

[[grant]]
names = ["*"]
endpoints = ["read", "chat"]

[[grant]]
names = ["operator"]
repositories = ["shared/%d"]
actions = ["pull"]
`, n)
}

// changeCertificate renews the certificate for TLS and its key.
func (l *load) changeCertificate(ctx context.Context, n int) error {
	serial := int64(n + 1)
	return l.change("a TLS certificate", func() error { return l.writeCertificate(serial) }, func() bool {
		err := l.call(ctx, l.fresh, l.operator, http.MethodGet, "/api/tags", tags)
		return err == nil && l.serial.Load() == serial
	})
}

// changeSigningKey makes a new signing key and a leaf certificate for it, as "countersignd
// rotate" does. It is in force when the registry accepts a token that it signed.
func (l *load) changeSigningKey(ctx context.Context, _ int) error {
	site := l.stage.Config.Sites[0]
	var leaf string
	return l.change("a signing key of tokens", func() error {
		path, err := setup.Rotate(ctx, site, backends.New().Mux(), time.Now())
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all, err := token.ParseCertificates(data)
		if err != nil {
			return err
		}
		leaf = base64.StdEncoding.EncodeToString(all[0].Raw)
		return nil
	}, func() bool {
		raw, err := l.token(ctx, l.operator, "repository:users/operator/none:pull")
		if err != nil || leafOf(raw) != leaf {
			return false
		}
		return l.want(ctx, l.kept, l.stage.Origin+"/v2/", raw, "{}") == nil
	})
}

// leafOf returns the leaf certificate in a token, in base64, or "".
func leafOf(raw string) string {
	head, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return ""
	}
	var fields struct {
		X5C []string `json:"x5c"`
	}
	if err := json.Unmarshal(text, &fields); err != nil || len(fields.X5C) == 0 {
		return ""
	}
	return fields.X5C[0]
}

// newIdentity makes a key: Ed25519, ECDSA and RSA keys take turns.
func newIdentity(name string, n int) (*identity, error) {
	var key crypto.Signer
	var err error
	switch n % 3 {
	case 0:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case 1:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return nil, err
	}
	s, err := signer.New(key)
	return &identity{name: name, key: s}, err
}

// writeKeys enrols the operator, the present keys of the users, and next unless it is nil.
func (l *load) writeKeys(next *identity) error {
	all := []*identity{l.operator}
	for _, u := range l.users {
		all = append(all, u.now) // only the caller changes it
	}
	if next != nil {
		all = append(all, next)
	}
	var text strings.Builder
	for _, i := range all {
		text.WriteString(signer.AuthorizedKey(i.key.PublicKey()) + " " + i.name + "\n")
	}
	return replace(filepath.Join(l.stage.Folder, setup.AuthorizedFile), []byte(text.String()))
}

// replace writes a file in one step.
func replace(path string, data []byte) error {
	next := path + ".next"
	return errors.Join(os.WriteFile(next, data, 0o600), os.Rename(next, path))
}
