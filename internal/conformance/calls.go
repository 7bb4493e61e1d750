package conformance

import (
	"context"
	"crypto"

	"github.com/countersign/countersign/signer"
)

// A call is one way to use the backend.
type call struct {
	op  string
	run func(context.Context) error
}

// callsOfExisting returns the calls that need a key of that name.
func (s *store) callsOfExisting(name string) []call {
	calls := []call{{"Open", func(ctx context.Context) error {
		_, err := s.open(ctx, name)
		return err
	}}}
	if has[signer.Exporter](s) {
		calls = append(calls, call{"Export", func(ctx context.Context) error {
			_, err := s.export(ctx, name)
			return err
		}})
	}
	if has[signer.Prober](s) {
		calls = append(calls, call{"Probe", func(ctx context.Context) error {
			_, err := s.probe(ctx, name)
			return err
		}})
	}
	if has[signer.Deleter](s) {
		calls = append(calls, call{"Delete", func(ctx context.Context) error {
			return s.delete(ctx, name)
		}})
	}
	return calls
}

// callsOfNew returns the calls that make a key of that name.
func (s *store) callsOfNew(name string, key crypto.Signer) []call {
	var calls []call
	if has[signer.Generator](s) {
		calls = append(calls, call{"Generate", func(ctx context.Context) error {
			_, err := s.generate(ctx, name)
			return err
		}})
	}
	if has[signer.Importer](s) {
		calls = append(calls, call{"Import", func(ctx context.Context) error {
			return s.importKey(ctx, name, key)
		}})
	}
	return calls
}
