// Package access finds out whether users other than the current one and root can
// read a file (CheckReaders), or can change it or put another file in its place
// (CheckWriters).
package access

// useCopy is the remedy for a file that another user can replace.
const useCopy = "use a copy in a directory of your own, in which only you can write"
