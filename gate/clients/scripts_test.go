package clients

import (
	"testing"

	"github.com/countersign/countersign/gate/internal/gatetest"
)

// curlScript pushes a file of a megabyte as a blob, once whole and once as a stream of
// unknown length, and reads it back whole and in part.
const curlScript = `
set -eu
head -c 1000000 /dev/urandom >blob
digest=sha256:$(sha256sum blob | cut -d" " -f1)
start() { curl -sSf -X POST -D - -o /dev/null "$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p'; }
to=$(start $REPOSITORY-whole)
curl -sSf -T blob "$to&digest=$digest"
to=$(start $REPOSITORY-stream)
to=$(curl -sSf -X PATCH -H 'Content-Type: application/octet-stream' -T - -D - -o /dev/null "$to" <blob | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
curl -sSf -X PUT "$to&digest=$digest"
for from in $REPOSITORY-whole $REPOSITORY-stream; do
	curl -sSfL -o got $from/blobs/$digest
	cmp blob got
done
curl -sSfL -r 500-999 -o part $from/blobs/$digest
cmp part <(tail -c +501 blob | head -c 500)
curl -sSf -X DELETE $from/blobs/$digest
curl -sSL -o /dev/null -w 'deleted: %{http_code}\n' $from/blobs/$digest
`

// pythonScript pushes and deletes an image with the standard library alone.
const pythonScript = `
import hashlib, json, os, urllib.error, urllib.request

base = os.environ["REPOSITORY"]

def call(method, url, data=None, **headers):
    return urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method))

def push_blob(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    at = call("POST", base + "/blobs/uploads/", b"").headers["Location"]
    call("PUT", at + "&digest=" + digest, data, **{"Content-Type": "application/octet-stream"})
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(data)}

kind = "application/vnd.oci.image.manifest.v1+json"
layer = os.urandom(500000)
manifest = {"schemaVersion": 2, "mediaType": kind, "config": push_blob(b"{}"), "layers": [push_blob(layer)]}
digest = call("PUT", base + "/manifests/v1", json.dumps(manifest).encode(), **{"Content-Type": kind}).headers["Docker-Content-Digest"]
got = json.load(call("GET", base + "/manifests/v1", Accept=kind))
assert call("GET", base + "/blobs/" + got["layers"][0]["digest"]).read() == layer
assert json.load(call("GET", base + "/tags/list"))["tags"] == ["v1"]
call("DELETE", base + "/manifests/" + digest)
try:
    call("GET", base + "/manifests/v1")
except urllib.error.HTTPError as e:
    print("deleted:", e.code)
`

// TestProxyScripts lets curl and Python use a registry through the proxy.
func TestProxyScripts(t *testing.T) {
	g, m := startGate(t, gatetest.Options{Grants: allGrants, Blobs: "*"}), newMachine(t)
	m.enrol(g)
	for _, tt := range []struct{ program, script string }{{"bash", curlScript}, {"python3", pythonScript}} {
		t.Run(tt.program, func(t *testing.T) {
			run := func(p runningProxy) (string, error) {
				m := m.with(t, "REPOSITORY=http://"+p.host+"/v2/users/alice/"+tt.program)
				return m.run("", tt.program, "-c", tt.script)
			}
			if out, err := run(m.startProxy(g, "--allow", "push,delete")); err != nil || out != "deleted: 404\n" {
				t.Errorf("%v: %s", err, out)
			}
			if out, err := run(m.startProxy(g)); err == nil {
				t.Errorf("without --allow: %s", out)
			}
			if out, err := run(m.as("bob").startProxy(g, "--allow", "push,delete")); err == nil {
				t.Errorf("without a grant: %s", out)
			}
		})
	}
}
