// Package access finds out whether users other than the current one and root can
// read a file (CheckReaders), or can change it or put another file in its place
// (CheckWriters).
package access
