//go:build !unix

package config

// CheckAccess checks nothing here: a profile is its user's own on Windows.
func CheckAccess(string) error { return nil }
