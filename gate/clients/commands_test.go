package clients

import (
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/crane"
)

// A program is a client that others wrote, with its commands. HOST is the address that it
// connects to, IMAGE an image there, and COPY another one. A command is empty if the
// program has none of its kind.
type program struct {
	name                                   string
	push, pull, copy, tags, catalog, erase string
}

var programs = []program{
	{
		name:    "crane",
		push:    "crane push app.tar IMAGE",
		pull:    "crane pull IMAGE pulled.tar",
		copy:    "crane copy IMAGE COPY",
		tags:    "crane ls REPOSITORY",
		catalog: "crane catalog HOST",
		erase:   "crane delete IMAGE",
	},
	{
		name:    "oras",
		push:    "oras push --plain-http IMAGE app.tar",
		pull:    "oras pull --plain-http --output pulled-oras IMAGE",
		copy:    "oras cp --from-plain-http --to-plain-http IMAGE COPY",
		tags:    "oras repo tags --plain-http REPOSITORY",
		catalog: "oras repo ls --plain-http HOST",
		erase:   "oras manifest delete --plain-http --force IMAGE",
	},
	{
		name:  "skopeo",
		push:  "skopeo copy --dest-tls-verify=false docker-archive:app.tar docker://IMAGE",
		pull:  "skopeo copy --src-tls-verify=false docker://IMAGE dir:pulled-skopeo",
		copy:  "skopeo copy --src-tls-verify=false --dest-tls-verify=false docker://IMAGE docker://COPY",
		tags:  "skopeo list-tags --tls-verify=false docker://REPOSITORY",
		erase: "skopeo delete --tls-verify=false docker://IMAGE",
	},
	{
		name:    "podman",
		push:    "podman push --tls-verify=false local:v1 IMAGE",
		pull:    "podman pull --tls-verify=false IMAGE",
		tags:    "podman search --tls-verify=false --list-tags REPOSITORY",
		catalog: "podman search --tls-verify=false HOST/",
	},
}

// on returns a command for an image, such as 127.0.0.1:5000/users/alice/app:v1.
func (c program) on(command, image string) []string {
	host, _, _ := strings.Cut(image, "/")
	repository := image[:strings.LastIndex(image, ":")]
	return strings.Fields(strings.NewReplacer("HOST", host, "IMAGE", image, "COPY", copyOf(image), "REPOSITORY", repository).Replace(command))
}

// copyOf returns the name of a copy in another repository, which can mount the blobs.
func copyOf(image string) string { return strings.TrimSuffix(image, ":v1") + "-copy:v1" }

// prepare makes the image that the client pushes.
func (c program) prepare(m *machine) {
	m.t.Helper()
	if err := crane.Save(image(m.t, 1_000_000, 2), "local:v1", filepath.Join(m.home, "app.tar")); err != nil {
		m.t.Fatal(err)
	}
	if c.name == "podman" {
		m.want("", c.on("podman load --quiet --input app.tar", "/:")...)
	}
}

// wantAllowed lets the client do all that it can do but delete.
func (c program) wantAllowed(m *machine, image string) {
	m.t.Helper()
	m.want("", c.on(c.push, image)...)
	m.want("", c.on(c.pull, image)...)
	if c.copy != "" {
		out, err := m.run("", c.on(c.copy, image)...)
		if err != nil || c.name == "crane" && strings.Count(out, "mounted blob") != 3 {
			m.t.Fatalf("%s: %v: %s", c.copy, err, out)
		}
		m.want("", c.on(c.pull, copyOf(image))...)
	}
	if out := m.want("", c.on(c.tags, image)...); !strings.Contains(out, "v1") {
		m.t.Errorf("%s shows no tag: %s", c.tags, out)
	}
}

// wantDeleted deletes an image, and misses it.
func (c program) wantDeleted(m *machine, image string) {
	m.t.Helper()
	if c.erase == "" {
		return
	}
	m.want("", c.on(c.erase, image)...)
	m.wantFailure("", c.on(c.pull, image)...)
}

// wantReadOnly lets the client pull an image, and wants reasons why it may not change the
// registry.
func (c program) wantReadOnly(m *machine, image, whyNoPush, whyNoDelete string) {
	m.t.Helper()
	m.want("", c.on(c.pull, image)...)
	m.want("", c.on(c.tags, image)...)
	m.wantFailure(whyNoPush, c.on(c.push, image+"-new")...) // crane keeps an image that is there
	if c.copy != "" {
		m.wantFailure(whyNoPush, c.on(strings.Replace(c.copy, "COPY", "IMAGE-other", 1), image)...)
	}
	if c.erase != "" {
		m.wantFailure(whyNoDelete, c.on(c.erase, image)...)
	}
}
