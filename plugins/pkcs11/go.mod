module github.com/countersign/countersign/plugins/pkcs11

go 1.26.6

replace github.com/countersign/countersign => ../..

require (
	github.com/countersign/countersign v0.0.0-00010101000000-000000000000
	github.com/google/go-cmp v0.7.0
	github.com/miekg/pkcs11 v1.1.2
	golang.org/x/crypto v0.58.0
	golang.org/x/sys v0.50.0
)

require github.com/cenkalti/backoff/v7 v7.0.3 // indirect
