package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/99designs/keyring"
	"github.com/godbus/dbus"

	"github.com/countersign/countersign/signer"
)

// The names are those of the Secret Service API, version 0.2
// (https://specifications.freedesktop.org/secret-service-spec/0.2/).
const (
	secretsName = "org.freedesktop.secrets"
	secretsPath = "/org/freedesktop/secrets"
	service     = "org.freedesktop.Secret.Service."
	collection  = "org.freedesktop.Secret.Collection."
	secretItem  = "org.freedesktop.Secret.Item."

	// profile is the attribute by which 99designs/keyring finds its items.
	profile = "profile"

	noObject dbus.ObjectPath = "/" // the API's "none"
)

// A secretService is the default collection, usually "login", of the Secret
// Service. Its items have the format of 99designs/keyring. The client of
// 99designs/keyring, go-libsecret, is not used: it takes no context, waits for
// signals that it did not subscribe to, and panics when the bus ends while a
// prompt is open.
type secretService struct {
	ctx        context.Context // of the operation that opened it
	conn       busConn
	patience   time.Duration // how long a person has to unlock something; 0: nobody is there
	limit      time.Duration // how long the operation may take
	collection dbus.ObjectPath
}

func (b *Backend) openSecretService(ctx context.Context, p prompting) (items, error) {
	conn, err := dialBus(ctx, SecretService)
	if err != nil {
		return nil, err
	}
	if err := startService(ctx, conn, SecretService, b.timeout(), secretsName); err != nil {
		return nil, err
	}
	s := &secretService{ctx: ctx, conn: conn, limit: b.limit()}
	if p == mayPrompt {
		s.patience = max(b.PromptTimeout, 0)
	}
	if err := s.findCollection(); err != nil {
		return nil, err
	}
	return s, s.unlock(s.collection, "the keyring", collectionName(s.collection))
}

// findCollection asks three times: while gnome-keyring writes a keyring, it may
// answer the first question of a new client as if no keyring existed.
func (s *secretService) findCollection() error {
	for range 3 {
		if err := s.service("ReadAlias", "default").Store(&s.collection); err != nil {
			return err
		}
		if s.collection != noObject {
			return nil
		}
	}
	if s.isKeePassXC() {
		return explain(signer.ErrLocked, SecretService, "keepassxc-group", "KeePassXC runs and no open database has a group for other programs")
	}
	return explain(signer.ErrLocked, SecretService, "never-unlocked", "it runs and has no default keyring")
}

func (s *secretService) isKeePassXC() bool {
	owner := s.conn.owner(s.ctx, "org.keepassxc.KeePassXC.MainWindow")
	return owner != "" && owner == s.conn.owner(s.ctx, secretsName)
}

// collectionName undoes the escapes of an object path.
func collectionName(p dbus.ObjectPath) string {
	name := path.Base(string(p))
	if plain, err := url.PathUnescape(strings.ReplaceAll(name, "_", "%")); err == nil {
		return plain
	}
	return name
}

// isVolatile implements [Backend.IsVolatile]. The collection "session" is in memory.
func (s *secretService) isVolatile() bool { return path.Base(string(s.collection)) == "session" }

// Has reports whether the collection has an item of that name, locked or not.
func (s *secretService) Has(key string) (bool, error) {
	found, err := s.search(key)
	return len(found) > 0, err
}

// Get reads an item in the format of 99designs/keyring, or an item whose value is
// the key or passphrase itself, as secret-tool stores it.
func (s *secretService) Get(key string) (keyring.Item, error) {
	object, err := s.find(key)
	if err != nil {
		return keyring.Item{}, err
	}
	if err := s.unlock(object, "the item", key); err != nil {
		return keyring.Item{}, err
	}
	secret, err := s.secret(object)
	if err != nil {
		return keyring.Item{}, err
	}
	var item keyring.Item
	if err := json.Unmarshal(secret, &item); err != nil || item.Key == "" {
		return keyring.Item{Key: key, Data: secret}, nil
	}
	return item, nil
}

// version tells the item and when it was changed last. It reads no secret: KeePassXC
// shows a person each time that a secret is read.
func (s *secretService) version(key string) (string, error) {
	object, err := s.find(key)
	if err != nil {
		return "", err
	}
	var modified uint64 // seconds
	if err := s.property(object, secretItem+"Modified", &modified); err != nil {
		return "", err
	}
	version := fmt.Sprintf("%s %d", object, modified)
	locked, err := s.locked(object)
	if err == nil && locked {
		err = explain(signer.ErrLocked, SecretService, "locked", "the item %q is locked", key)
	}
	return version, err
}

// Set creates an item and replaces none.
func (s *secretService) Set(item keyring.Item) error {
	data, err := json.Marshal(item)
	if err != nil {
		return err
	}
	session, err := s.session()
	if err != nil {
		return err
	}
	properties := map[string]dbus.Variant{
		secretItem + "Label":      dbus.MakeVariant(item.Key),
		secretItem + "Attributes": dbus.MakeVariant(map[string]string{profile: item.Key}),
	}
	var created, dialog dbus.ObjectPath
	err = s.call(s.collection, collection+"CreateItem", properties, secret{Session: session, Value: data, ContentType: "application/json"}, false).Store(&created, &dialog)
	if err != nil {
		return err
	}
	return s.ask(dialog, "to store the item", item.Key, func() error { return nil })
}

// Remove returns keyring.ErrKeyNotFound if there is no such item.
func (s *secretService) Remove(key string) error {
	object, err := s.find(key)
	if err != nil {
		return err
	}
	var dialog dbus.ObjectPath
	if err := s.call(object, secretItem+"Delete").Store(&dialog); err != nil {
		return err
	}
	return s.ask(dialog, "to delete the item", key, func() error { return nil })
}

// Keys returns the values of the attribute that Get looks for. It does not use
// the label, which a person may change in a keyring manager.
func (s *secretService) Keys() ([]string, error) {
	var objects []dbus.ObjectPath
	if err := s.property(s.collection, collection+"Items", &objects); err != nil {
		return nil, err
	}
	var keys []string
	for _, o := range objects {
		var attributes map[string]string
		err := s.property(o, secretItem+"Attributes", &attributes)
		if _, answered := errors.AsType[dbus.Error](err); answered {
			continue // the item was removed
		}
		if err != nil {
			return nil, err
		}
		if attributes[profile] != "" {
			keys = append(keys, attributes[profile])
		}
	}
	return keys, nil
}

// find returns the first item of that name.
func (s *secretService) find(key string) (dbus.ObjectPath, error) {
	found, err := s.search(key)
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	if other := s.elsewhere(key); other != "" {
		return "", explain(signer.ErrNotFound, SecretService, "another-keyring", "the default keyring %q has no item %q, and the keyring %q has one", collectionName(s.collection), key, other)
	}
	return "", keyring.ErrKeyNotFound
}

// search asks three times, for the same reason as findCollection.
func (s *secretService) search(key string) ([]dbus.ObjectPath, error) {
	for range 3 {
		var found []dbus.ObjectPath
		err := s.call(s.collection, collection+"SearchItems", map[string]string{profile: key}).Store(&found)
		if err != nil {
			return nil, err
		}
		// KeePassXC has no path for an item in its recycle bin.
		found = slices.DeleteFunc(found, func(p dbus.ObjectPath) bool { return p == noObject })
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}

// elsewhere returns the name of another collection that has the item, or "".
func (s *secretService) elsewhere(key string) string {
	var unlocked, locked []dbus.ObjectPath
	if err := s.service("SearchItems", map[string]string{profile: key}).Store(&unlocked, &locked); err != nil {
		return ""
	}
	for _, o := range append(unlocked, locked...) {
		if parent := dbus.ObjectPath(path.Dir(string(o))); o != noObject && parent != s.collection {
			return collectionName(parent)
		}
	}
	return ""
}

// A secret is the API's structure of that name, in the session's encoding.
type secret struct {
	Session           dbus.ObjectPath
	Parameters, Value []byte
	ContentType       string
}

func (s *secretService) secret(object dbus.ObjectPath) ([]byte, error) {
	session, err := s.session()
	if err != nil {
		return nil, err
	}
	var found secret
	err = s.call(object, secretItem+"GetSecret", session).Store(&found)
	return found.Value, err
}

// session opens a session without encryption: no other user can read this
// connection.
func (s *secretService) session() (session dbus.ObjectPath, err error) {
	var output dbus.Variant
	err = s.service("OpenSession", "plain", dbus.MakeVariant("")).Store(&output, &session)
	return session, err
}

func (s *secretService) service(method string, args ...any) *dbus.Call {
	return s.call(secretsPath, service+method, args...)
}

func (s *secretService) property(object dbus.ObjectPath, name string, value any) error {
	dot := strings.LastIndex(name, ".")
	var v dbus.Variant
	err := s.call(object, "org.freedesktop.DBus.Properties.Get", name[:dot], name[dot+1:]).Store(&v)
	if err != nil {
		return err
	}
	return dbus.Store([]any{v.Value()}, value)
}

func (s *secretService) call(object dbus.ObjectPath, method string, args ...any) *dbus.Call {
	call := s.conn.call(s.ctx, secretsName, object, method, args...)
	call.Err = busError(s.ctx, SecretService, call.Err)
	return call
}
