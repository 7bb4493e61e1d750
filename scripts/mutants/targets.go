package main

import "path"

// A target is a file that carries security. Its mutants are tested with the tests
// of its own package and then with those of the packages in alsoTests.
type target struct {
	file      string
	alsoTests []string
}

// allTargets lists the files that protect signatures, tokens and keys.
// Files for macOS and Windows alone are missing: their tests cannot run on Linux.
func allTargets() []target {
	return []target{
		{file: "backends/env/capture.go"},
		{file: "backends/env/env.go"},
		{file: "backends/env/decode.go"},
		{file: "backends/env/source.go"},
		{file: "backends/file/file.go"},
		{file: "backends/file/name.go"},
		{file: "backends/file/read.go"},
		{file: "backends/file/write.go"},
		{file: "backends/file/rename_linux.go"},
		{file: "backends/file/temp.go"},
		{file: "backends/file/temp_other.go"},
		{file: "backends/vault/address.go"},
		{file: "backends/vault/client.go"},
		{file: "backends/vault/key.go"},
		{file: "backends/vault/login.go"},
		{file: "backends/vault/token.go"},
		{file: "backends/vault/vault.go"},
		{file: "challenge/wire.go"},
		{file: "challenge/cache.go"},
		{file: "challenge/client.go"},
		{file: "challenge/exchange.go"},
		{file: "challenge/gate.go"},
		{file: "challenge/helpersecret.go"},
		{file: "challenge/parse.go"},
		{file: "challenge/policy.go"},
		{file: "challenge/request.go"},
		{file: "challenge/scope.go"},
		{file: "challenge/secrets.go"},
		{file: "challenge/token.go"},
		{file: "challenge/transport.go"},
		{file: "config/purposes.go"},
		{file: "config/site.go"},
		{file: "gate/authkeys/authkeys.go"},
		{file: "gate/authkeys/denied.go"},
		{file: "gate/authkeys/from.go"},
		{file: "gate/authkeys/store.go"},
		{file: "gate/forward/forward.go", alsoTests: []string{"gate/registry"}},
		{file: "gate/front/front.go"},
		{file: "gate/grants/grants.go"},
		{file: "gate/grants/pattern.go"},
		{file: "gate/nonce/memory.go"},
		{file: "gate/pubkey/pubkey.go"},
		{file: "gate/registry/blobs.go"},
		{file: "gate/registry/registry.go"},
		{file: "gate/registry/route.go"},
		{file: "gate/registry/token.go"},
		{file: "gate/scope/scope.go"},
		{file: "gate/site/site.go", alsoTests: []string{"gate/registry"}},
		{file: "gate/token/store.go"},
		{file: "gate/verify/verify.go"},
		{file: "gate/watch/watch.go"},
		{file: "gate/ollama/ollama.go"},
		{file: "gate/signin/signin.go"},
		{file: "guard/audience.go"},
		{file: "guard/guard.go"},
		{file: "guard/helper.go"},
		{file: "guard/only.go"},
		{file: "guard/ollama.go"},
		{file: "guard/protocols.go"},
		{file: "internal/access/acl_linux.go"},
		{file: "internal/access/group_unix.go"},
		{file: "internal/access/readers_other.go", alsoTests: []string{"backends/file"}},
		{file: "internal/access/writers_unix.go"},
		{file: "internal/agentserver/client.go"},
		{file: "internal/agentserver/lock.go"},
		{file: "internal/agentserver/server.go"},
		{file: "internal/agentserver/session.go"},
		{file: "internal/agentserver/socket_unix.go"},
		{file: "internal/agentserver/wire.go"},
		{file: "internal/filelock/lock_unix.go", alsoTests: []string{"backends/file"}},
		{file: "internal/keyfile/keyfile.go"},
		{file: "internal/printable/printable.go"},
		{file: "internal/redact/redact.go", alsoTests: []string{"challenge"}},
		{file: "internal/sshsig/allowed.go"},
		{file: "internal/sshsig/options.go"},
		{file: "internal/sshsig/sshsig.go"},
		{file: "signer/name.go"},
		{file: "signer/parse.go"},
		{file: "signer/unlock.go"},
	}
}

// packages returns the packages whose tests t needs, its own first.
func (t target) packages() []string { return append([]string{path.Dir(t.file)}, t.alsoTests...) }
