// Package nobus keeps github.com/99designs/keyring away from D-Bus.
//
// On Linux, the init of that package connects to the session bus. It has no
// deadline, so a bus that accepts and never answers stops the program before
// main. Where no bus is set, it runs dbus-launch, which leaves a daemon behind.
// The parent package has clients of its own for the stores on the bus.
//
// Go initialises packages in the order of their import paths, each as soon as
// all its imports are initialised (the language specification, "Program
// initialization"; fixed since Go 1.21). This package imports only packages that
// github.com/godbus/dbus imports too, and its path sorts before that one's. So
// Go initialises this package before godbus/dbus, and 99designs/keyring, which
// imports godbus/dbus, after both. TestBeforeMain in the parent package checks
// this.
//
// The init of this package sets DBUS_SESSION_BUS_ADDRESS to an address that
// cannot be dialled. The parent package is initialised last and calls Restore.
package nobus
