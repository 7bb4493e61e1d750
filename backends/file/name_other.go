//go:build !windows

package file

func checkPath(string) error { return nil }
