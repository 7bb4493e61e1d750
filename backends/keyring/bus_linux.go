package keyring

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/99designs/keyring"
	"github.com/godbus/dbus"

	"github.com/countersign/countersign/backends/keyring/internal/busprobe"
	"github.com/countersign/countersign/signer"
)

// found is the bus that 99designs/keyring uses for the life of the process. Its
// init has run by now: this package imports it.
var found = busprobe.Restore()

// dialBus opens a connection of our own, which ends with ctx. It finds out what
// 99designs/keyring would hide, hang on or prompt for.
func dialBus(ctx context.Context, s Store) (busConn, error) {
	if errors.Is(found.Err, os.ErrDeadlineExceeded) {
		return busConn{}, noAnswer(string(s), "dead-bus", "the D-Bus session bus accepts connections and does not answer: %w: log in anew, then restart this program", found.Err)
	}
	if found.Err != nil {
		return busConn{}, explain(signer.ErrUnavailable, s, "no-bus", "no D-Bus session bus was there when this program started: %w", found.Err)
	}
	conn, err := dbus.Dial(found.Address)
	if err != nil {
		return busConn{}, explain(signer.ErrUnavailable, s, "bus-gone", "the D-Bus session bus is gone: %w: restart this program once it is back", err)
	}
	outlive := context.AfterFunc(ctx, func() { conn.Close() })
	if err := conn.Auth(nil); err != nil {
		return busConn{}, busError(ctx, s, err)
	}
	if err := conn.Hello(); err != nil {
		return busConn{}, busError(ctx, s, err)
	}
	return busConn{conn, outlive}, nil
}

// A busConn is open until its context ends, and longer if outlive is called
// before: then whoever called it closes it.
type busConn struct {
	*dbus.Conn
	outlive func() bool
}

// busError is for a call on our own connection.
func busError(ctx context.Context, s Store, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if ctx.Err() != nil {
		return noAnswer(string(s), "no-answer", "the D-Bus session bus, or the service on it, does not answer")
	}
	return classify(s, err)
}

// startService has the bus start the service of that name if it does not run.
// The bus itself waits for up to 25 seconds.
func startService(ctx context.Context, conn busConn, s Store, timeout time.Duration, name string) error {
	var running bool
	err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, name).Store(&running)
	if err != nil {
		return busError(ctx, s, err)
	}
	if running {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = conn.BusObject().CallWithContext(limited, "org.freedesktop.DBus.StartServiceByName", 0, name, uint32(0)).Err
	// When ctx ends, the connection may be closed before limited knows of it.
	if errors.Is(cmp.Or(ctx.Err(), limited.Err()), context.DeadlineExceeded) {
		return noAnswer(string(s), "activation", "the bus was asked to start %s, which did not come up within %v", name, timeout)
	}
	if err != nil {
		return busError(ctx, s, err)
	}
	return nil
}

// openOnBus opens a store whose service answers on a connection of our own. If it
// cannot be opened all the same, then because 99designs/keyring has one
// connection for the life of the process, which broke.
func openOnBus(s Store, cfg keyring.Config) (keyring.Keyring, error) {
	k, err := open99(s, cfg)
	if errors.Is(err, keyring.ErrNoAvailImpl) {
		return nil, explain(signer.ErrUnavailable, s, "bus-gone", "the D-Bus session bus was started anew while this program was running: restart this program")
	}
	return k, err
}

// classifyBus knows the errors of D-Bus, its library and the Secret Service by
// name.
func classifyBus(s Store, err error) error {
	if errors.Is(err, dbus.ErrClosed) {
		return explain(signer.ErrUnavailable, s, "bus-gone", "the connection to the D-Bus session bus broke: restart this program once the bus is back")
	}
	var e dbus.Error
	if !errors.As(err, &e) {
		return nil
	}
	const bus = "org.freedesktop.DBus.Error."
	absent := []string{bus + "ServiceUnknown", bus + "NameHasNoOwner", bus + "Spawn.ServiceNotFound", bus + "Spawn.ExecFailed", bus + "Spawn.ChildExited", bus + "Spawn.ChildSignaled"}
	switch {
	case slices.Contains(absent, e.Name):
		return explain(signer.ErrUnavailable, s, "no-service", "nothing on the D-Bus session bus provides it: %s", e.Error())
	case e.Name == "org.freedesktop.Secret.Error.IsLocked":
		return explain(signer.ErrLocked, s, "locked", "the keyring is locked")
	case e.Name == bus+"NoReply", e.Name == bus+"Disconnected":
		return explain(signer.ErrUnavailable, s, "service-died", "it stopped in the middle: %s", e.Error())
	case e.Name == bus+"AccessDenied":
		return explain(signer.ErrDenied, s, "denied", "%s", e.Error())
	case e.Name == bus+"TimedOut", e.Name == bus+"Timeout":
		return noAnswer(string(s), "activation", "%s", e.Error())
	}
	return damaged(s, "other", "%s: %w", e.Name, err)
}
