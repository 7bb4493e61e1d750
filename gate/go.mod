module github.com/countersign/countersign/gate

go 1.26.0

replace github.com/countersign/countersign => ..

require (
	github.com/countersign/countersign v0.0.0-00010101000000-000000000000
	github.com/go-jose/go-jose/v4 v4.1.9
	github.com/google/go-cmp v0.7.0
	github.com/pelletier/go-toml/v2 v2.4.3
	golang.org/x/crypto v0.58.0
	golang.org/x/time v0.16.0
)

require (
	github.com/cenkalti/backoff/v7 v7.0.3 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
