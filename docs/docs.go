// Package docs contains the pages of this folder, so that the command can show them
// on a machine without the source.
package docs

import "embed"

// Pages holds each page under its file name, such as "keychain.md".
//
//go:embed *.md
var Pages embed.FS
