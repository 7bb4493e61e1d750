package main

// privateParsers is empty here: see private.go.
var privateParsers []parseFunc
