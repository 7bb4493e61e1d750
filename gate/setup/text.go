package setup

import (
	"bytes"
	"strconv"
	"text/template"
)

const authorizedText = `# The keys that this gate knows, in the format of OpenSSH's authorized_keys. The comment
# of a line is the name of the key's owner; grants.toml tells what the name may do.
# "countersign key show" prints such a line. Options: from="10.0.0.0/8" and
# expiry-time="20271231Z". A change is in force within a second.
#
# ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... alice
`

const grantsText = `# What the owners of the keys may do. Nothing is granted until you remove the "#" before
# a grant. Grants only add up. A change is in force within a second. "countersignd explain
# NAME" tells what somebody may do, and why.

# Everyone with an enrolled key has the repositories below NAME and users/NAME. (The name
# of a model of Ollama has two parts, such as alice/model.)
# [[grant]]
# names = ["*"]
# repositories = ["${name}/*", "users/${name}/*"]
# actions = ["pull", "push", "delete"]

# Everyone with an enrolled key may pull shared models and images.
# [[grant]]
# names = ["*"]
# repositories = ["library/*"]
# actions = ["pull"]

# Clients without a key may pull what is public.
# [[grant]]
# anonymous = true
# repositories = ["public/*"]
# actions = ["pull"]

# alice may list all repositories, and use the models of the Ollama server.
# Groups of endpoints: read, chat, pull, push, create, delete.
# [[grant]]
# names = ["alice"]
# catalog = true
# endpoints = ["read", "chat"]
`

var configTemplate = template.Must(template.New("").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(`# The configuration of countersignd. Paths are relative to the folder of this file.
# "countersignd check" reports every mistake with its line. A change needs a restart;
# changes of the other files do not.

# The addresses that clients connect to.
listen = [{{quote .Listen}}]

# The address of /metrics, /healthz and /readyz, for your own machines.
# admin = "127.0.0.1:9464"

# Proxies in front of the gate that end TLS. X-Forwarded-For is believed from them only.
# trusted_proxies = ["127.0.0.1"]

# The file with one line of JSON for each decision. Without it, they go to standard output.
# audit = "audit.log"

[tls]
# The certificate and its key, for an address that is not on loopback. Both are read
# again when they change.
{{if .Certificate}}certificate = {{quote .Certificate}}
key = {{quote .Key}}
{{else}}# certificate = "tls.crt"
# key = "tls.key"
{{end}}
[keys]
# The known keys, in the format of OpenSSH's authorized_keys.
authorized = "authorized_keys"

# Keys or fingerprints that are refused whatever the file above says.
# denied = "denied_keys"

# The keys that wait for "countersignd approve". Without it, there is no sign-in page.
pending = "pending.json"

[replay]
# How old a signed token request may be, and how far ahead the clock of its client.
past = "5m"
future = "30s"

# The Redis server that several gates share. A single gate needs none.
# redis = "redis://127.0.0.1:6379/0"
# redis_password = "redis.password"

[limits]
# Requests per second, bursts are four times as large.
per_address = 50
per_key = 100

# The longest request to an Ollama server, and how long a stop waits for streams.
body_mb = 64
drain = "30s"

[[site]]
# The public origin, as clients write it.
origin = {{quote .Origin}}

# The servers behind the gate. Nobody else must reach them.
{{if .Registry}}registry = {{quote .Registry}}
{{else}}# registry = "http://127.0.0.1:5000"
{{end}}{{if .Ollama}}ollama = {{quote .Ollama}}

# Requests that the Ollama server gets: signed ones, and those with a token of this gate.
accept = ["signature", "token"]
{{else}}# ollama = "http://127.0.0.1:11434"
{{end}}
# A second host name of this gate, not below the first one, from which clients fetch
# blobs. Ollama needs it.
{{if .Blobs}}blobs = {{quote .Blobs}}
{{else}}# blobs = "https://blobs.example.net"
{{end}}
# What the owners of the keys may do.
grants = "grants.toml"

[site.tokens]
# The registry trusts tokens by the root certificate (its rootcertbundle). "countersignd
# rotate" makes a new signing key and certificate; only it needs root_key, which can be
# kept elsewhere.
root = "root.crt"
root_key = {{quote .RootKey}}
certificate = "token.crt"
signing_key = {{quote .SigningKey}}
lifetime = "5m"

# The secret in the addresses of blobs. All replicas have the same.
blob_secret = "blob.secret"
`))

// configText returns the configuration that o describes.
func configText(o Options) ([]byte, error) {
	var b bytes.Buffer
	err := configTemplate.Execute(&b, o)
	return b.Bytes(), err
}
