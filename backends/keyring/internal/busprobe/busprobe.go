// Package busprobe keeps github.com/99designs/keyring from hanging before main.
//
// On Linux, that package dials the D-Bus session bus in its init: without a
// deadline, so a bus that accepts and never answers stops the program for ever,
// and with dbus-launch where no bus is set, which leaves a daemon behind.
//
// Go initialises packages in the order of their import paths, each as soon as
// all that it imports is initialised (the language specification, "Program
// initialization"; fixed since Go 1.21). This package imports only what
// github.com/godbus/dbus imports too, and its path sorts before that one's. So
// it is initialised before godbus/dbus, and 99designs/keyring, which imports
// godbus/dbus, after both. TestBeforeMain in the parent package holds this.
//
// Initialised first, it looks whether a bus is there and answers, and leaves in
// DBUS_SESSION_BUS_ADDRESS one that does, or an address that nobody dials. The
// parent package, initialised last, has Restore put the variable back.
package busprobe
