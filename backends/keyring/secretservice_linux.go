package keyring

import (
	"context"
	"errors"
	"net/url"
	"path"
	"strings"

	"github.com/99designs/keyring"
	"github.com/godbus/dbus"

	"github.com/countersign/countersign/signer"
)

const (
	secretsName = "org.freedesktop.secrets"
	secretsPath = "/org/freedesktop/secrets"
	service     = "org.freedesktop.Secret.Service."
	collection  = "org.freedesktop.Secret.Collection."
	secretItem  = "org.freedesktop.Secret.Item."
)

// secretService is the default collection, usually "login", of the Secret
// Service. Before 99designs/keyring gets to it, everything at which that would
// hang, prompt or mistake one state for another has been dealt with.
type secretService struct {
	keyring.Keyring
	ctx        context.Context // of the operation that opened it
	conn       busConn
	collection dbus.BusObject
}

func (b *Backend) openSecretService(ctx context.Context, p prompting) (keyring.Keyring, error) {
	conn, err := dialBus(ctx, SecretService)
	if err != nil {
		return nil, err
	}
	if err := startService(ctx, conn, SecretService, b.timeout(), secretsName); err != nil {
		return nil, err
	}
	s := &secretService{ctx: ctx, conn: conn}
	if err := s.findCollection(); err != nil {
		return nil, err
	}
	if err := s.unlock(b, p); err != nil {
		return nil, err
	}
	s.Keyring, err = openOnBus(SecretService, keyring.Config{LibSecretCollectionName: s.collectionName()})
	return s, err
}

// findCollection asks three times: while a keyring is being written,
// gnome-keyring may answer the first question of a new client as if there were
// none.
func (s *secretService) findCollection() error {
	for range 3 {
		var found dbus.ObjectPath
		err := s.call(s.object(secretsPath), service+"ReadAlias", "default").Store(&found)
		if err != nil {
			return busError(s.ctx, SecretService, err)
		}
		if found != "/" {
			s.collection = s.object(found)
			return nil
		}
	}
	return explain(signer.ErrLocked, SecretService, "never-unlocked", "it runs and has no default keyring: it was never unlocked")
}

// collectionName undoes the escapes of an object path, as 99designs/keyring
// does before it compares.
func (s *secretService) collectionName() string {
	name := path.Base(string(s.collection.Path()))
	if plain, err := url.PathUnescape(strings.ReplaceAll(name, "_", "%")); err == nil {
		return plain
	}
	return name
}

// Get does not believe at once that an item is absent, for the reason that
// findCollection has. And it reads an item that is no JSON of 99designs/keyring
// as it is: secret-tool stores keys and passphrases so.
func (s *secretService) Get(key string) (keyring.Item, error) {
	item, err := s.Keyring.Get(key)
	if !errors.Is(err, keyring.ErrKeyNotFound) && !isNotJSON(err) {
		return item, err
	}
	items, searchErr := s.items(key)
	if searchErr != nil {
		return keyring.Item{}, searchErr
	}
	if len(items) == 0 {
		return keyring.Item{}, keyring.ErrKeyNotFound
	}
	if item, err = s.Keyring.Get(key); !isNotJSON(err) {
		return item, err
	}
	data, err := s.secret(items[0])
	return keyring.Item{Key: key, Data: data}, err
}

// Remove says when there is nothing to remove.
func (s *secretService) Remove(key string) error {
	items, err := s.items(key)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return keyring.ErrKeyNotFound
	}
	return s.Keyring.Remove(key)
}

// Keys goes by the attribute that Get looks for. 99designs/keyring goes by the
// label, which anybody may change in a keyring manager.
func (s *secretService) Keys() ([]string, error) {
	all, err := s.collection.GetProperty(collection + "Items")
	if err != nil {
		return nil, err
	}
	paths, _ := all.Value().([]dbus.ObjectPath)
	var keys []string
	for _, p := range paths {
		attributes, err := s.object(p).GetProperty(secretItem + "Attributes")
		if err != nil {
			continue // removed meanwhile
		}
		if a, ok := attributes.Value().(map[string]string); ok && a["profile"] != "" {
			keys = append(keys, a["profile"])
		}
	}
	return keys, nil
}

func (s *secretService) items(key string) ([]dbus.ObjectPath, error) {
	var items []dbus.ObjectPath
	err := s.call(s.collection, collection+"SearchItems", map[string]string{"profile": key}).Store(&items)
	return items, err
}

func (s *secretService) secret(item dbus.ObjectPath) ([]byte, error) {
	var output dbus.Variant
	var session dbus.ObjectPath
	err := s.call(s.object(secretsPath), service+"OpenSession", "plain", dbus.MakeVariant("")).Store(&output, &session)
	if err != nil {
		return nil, err
	}
	var secret struct {
		Session           dbus.ObjectPath
		Parameters, Value []byte
		ContentType       string
	}
	err = s.call(s.object(item), secretItem+"GetSecret", session).Store(&secret)
	return secret.Value, err
}

func (s *secretService) object(p dbus.ObjectPath) dbus.BusObject {
	return s.conn.Object(secretsName, p)
}

func (s *secretService) call(o dbus.BusObject, method string, args ...any) *dbus.Call {
	return o.CallWithContext(s.ctx, method, 0, args...)
}
