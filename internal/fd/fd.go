// Package fd works on file descriptors that the program was started with.
package fd
