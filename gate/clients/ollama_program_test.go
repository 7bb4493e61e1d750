package clients

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/gate/setup"
	"github.com/countersign/countersign/internal/secretservice"
)

// TestUnmodifiedOllama runs an unmodified Ollama with the programs countersignd and
// countersign. The gate stands before a registry of CNCF distribution and an Ollama
// server, which runs a model. The test prints each command with its output.
// scripts/ollama-gate runs it.
func TestUnmodifiedOllama(t *testing.T) {
	program := os.Getenv("COUNTERSIGN_TEST_OLLAMA")
	if program == "" {
		t.Skip("no Ollama: scripts/ollama-gate builds one and runs this test")
	}
	s := startOllamaStage(t, program)
	for _, part := range []struct {
		title string
		play  func(*testing.T, *ollamaStage)
	}{
		{"The operator approves a new key", approveKey},
		{"Push to the registry and pull from it", pushAndPull},
		{"Use the Ollama server", useServer},
		{"Refuse a key that is not enrolled, and one without a grant", refuseOthers},
		{"Remove a key in the middle of a pull", removeKeyDuringPull},
		{"Sign with a key in gnome-keyring, through countersign proxy", useProxy},
		{"Strong mode", useStrongMode},
	} {
		if !t.Run(part.title, func(t *testing.T) { part.play(t, s) }) {
			break // the parts build on each other
		}
	}
}

// approveKey lets alice ask for access, and the operator run the command of the page.
func approveKey(t *testing.T, s *ollamaStage) {
	signin := "OLLAMA_AUTH=1 OLLAMA_HOST=" + s.gate + " ollama signin"
	page := s.alice.works(t, signin, `http://\S+/connect\S+`)
	res, err := http.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	html, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	approve := regexp.MustCompile(`countersignd approve SHA256:\S+ NAME`).FindString(strings.ReplaceAll(string(html), "&#43;", "+"))
	s.operator(t, strings.Replace(approve, "NAME", "alice", 1))
	s.daemon.await(t, "file read again")
	s.alice.works(t, signin, "signed in as user 'alice'")
}

// pushAndPull makes a model, pushes it, removes it and pulls it.
func pushAndPull(t *testing.T, s *ollamaStage) {
	writeModel(t, s.alice.home)
	s.alice.works(t, "ollama create tiny -f Modelfile", "success")
	s.alice.works(t, "ollama cp tiny "+s.model, "copied")
	s.alice.works(t, "ollama push --insecure "+s.model, "success")
	s.alice.works(t, "ollama rm tiny "+s.model, "deleted")
	s.alice.works(t, "ollama pull --insecure "+s.model, "success")
	s.alice.works(t, "ollama run "+s.model+" hello", answer)
}

// useServer uses the Ollama server behind the gate. That server pulls from the registry
// and pushes to it with its own key.
func useServer(t *testing.T, s *ollamaStage) {
	alice := s.alice.with("OLLAMA_AUTH=1", "OLLAMA_HOST="+s.gate)
	alice.works(t, "ollama create made -f Modelfile", "success")
	alice.works(t, "ollama pull --insecure "+s.model, "success")
	alice.works(t, "ollama cp "+s.model+" tiny", "copied")
	alice.works(t, "ollama list", "tiny:latest")
	alice.works(t, "ollama show tiny", "llama")
	alice.works(t, "ollama run tiny hello", answer)
	alice.works(t, "ollama ps", "tiny:latest")
	alice.works(t, "ollama stop tiny", "")
	alice.works(t, "ollama push --insecure "+s.model, "success")
	alice.works(t, "ollama rm made "+s.model, "deleted")
}

// refuseOthers tries a key that is not enrolled and one without a grant. Ollama has texts
// of its own for a push that a registry answers with 401, and for streams.
func refuseOthers(t *testing.T, s *ollamaStage) {
	refuse := func(m *ollamaMachine, reason, push string) {
		m.fails(t, "ollama pull --insecure "+s.model, reason)
		writeModel(t, m.home)
		m.works(t, "ollama create "+s.model+" -f Modelfile", "success")
		m.fails(t, "ollama push --insecure "+s.model, push)
		m = m.with("OLLAMA_AUTH=1", "OLLAMA_HOST="+s.gate)
		for _, command := range []string{"list", "ps", "show tiny", "run tiny hello", "cp tiny mine", "rm tiny", "pull --insecure " + s.model} {
			m.fails(t, "ollama "+command, reason)
		}
	}
	refuse(s.stranger, "the key is not enrolled|401 Unauthorized", "you are not authorized")
	refuse(s.bob, "bob has no grant", "bob has no grant")
	s.bob.works(t, "OLLAMA_AUTH=1 OLLAMA_HOST="+s.gate+" ollama signin", "signed in as user 'bob'")
	s.alice.fails(t, "OLLAMA_HOST="+s.gate+" ollama list", "a signature or a token is needed: set OLLAMA_AUTH=1")
}

// removeKeyDuringPull removes the key of alice while the registry sends the first layer. The
// gate ends the request. Ollama tries again for a minute, whatever the gate replies.
func removeKeyDuringPull(t *testing.T, s *ollamaStage) {
	s.alice.works(t, "ollama rm "+s.model, "deleted")
	half, goOn := s.hold.next()
	t.Cleanup(goOn)
	pulled := make(chan struct{})
	go func() {
		defer close(pulled)
		s.alice.fails(t, "ollama pull --insecure "+s.model, "max retries exceeded")
	}()
	<-half
	keys := s.read(t, s.folder, setup.AuthorizedFile)
	removed := time.Now()
	s.write(t, setup.AuthorizedFile, regexp.MustCompile(`(?m)^.* alice\n`).ReplaceAllString(keys, ""))
	s.daemon.await(t, "the request was ended: the key is not enrolled")
	fmt.Printf("operator: removed the key of alice while the registry sent the first layer; the gate ended it after %.1f s\n", time.Since(removed).Seconds())
	s.daemon.await(t, "file read again")
	s.alice.fails(t, "OLLAMA_AUTH=1 OLLAMA_HOST="+s.gate+" ollama list", "the key is not enrolled")
	<-pulled
	s.write(t, setup.AuthorizedFile, keys)
	s.daemon.await(t, "file read again")
	s.alice.works(t, "ollama pull --insecure "+s.model, "success")
}

// useProxy gives a machine a key in gnome-keyring. The gate does not know the key of
// Ollama on that machine.
func useProxy(t *testing.T, s *ollamaStage) {
	session := secretservice.Start(t)
	work := s.newMachine(t, "work", session.Dir(), append(session.Env(), "COUNTERSIGN_KEY=keyring:work")...)
	line := regexp.MustCompile(`ssh-ed25519 \S+`).FindString(work.works(t, "countersign key generate keyring:work", `(?s).*`))
	s.write(t, setup.AuthorizedFile, s.read(t, s.folder, setup.AuthorizedFile)+line+" work\n")
	s.daemon.await(t, "file read again")

	local := freePort(t)
	_, port, _ := strings.Cut(local, ":")
	fmt.Printf("work$ countersign proxy --to %s --port %s --allow push\n", s.gate, port)
	startDaemon(t, work.env, local, filepath.Join(s.bin, "countersign"), "proxy", "--to", s.gate, "--port", port, "--allow", "push")
	model := "http://" + local + "/alice/tiny"
	pull := strings.Replace(documentedLine(t, "an unmodified Ollama, against a registry"), "http://127.0.0.1:5115/team/model", model, 1)
	work.works(t, pull, "success")
	work.works(t, "ollama cp "+model+" "+model+"-two", "copied")
	work.works(t, "ollama push --insecure "+model+"-two", "success")
	work.works(t, "ollama rm "+model+" "+model+"-two", "deleted")
	work.works(t, pull+"-two", "success")
	work.fails(t, "ollama pull --insecure "+s.model, "the key is not enrolled") // without the proxy

	signed := strings.Replace(documentedLine(t, "an unmodified Ollama, against an Ollama server"), "https://ollama.example.com", s.gate, 1)
	work.works(t, signed, "tiny:latest")
	work.works(t, "countersign proxy --to "+s.gate+" -- ollama run tiny hello", answer)
}

// documentedLine returns the line that docs/other-languages.md shows for a program.
func documentedLine(t *testing.T, program string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/other-languages.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^\\| " + regexp.QuoteMeta(program) + " \\|[^`]*`([^`]+)`").FindSubmatch(page)
	if line == nil {
		t.Fatalf("docs/other-languages.md has no line for %s", program)
	}
	return string(line[1])
}

// useStrongMode starts the gate anew, so that it takes tokens only.
func useStrongMode(t *testing.T, s *ollamaStage) {
	s.daemon.stop()
	text := s.read(t, s.folder, setup.ConfigFile)
	s.write(t, setup.ConfigFile, strings.Replace(text, `accept = ["signature", "token"]`, `accept = ["token"]`, 1))
	s.operator(t, "countersignd check")
	s.startGate(t)
	s.alice.fails(t, "OLLAMA_AUTH=1 OLLAMA_HOST="+s.gate+" ollama list", "takes tokens and no signatures: use countersign proxy")
	proxy := "countersign proxy --to " + s.gate
	s.alice.works(t, proxy+" -- ollama list", "tiny:latest")
	s.alice.works(t, proxy+" -- ollama show tiny", "llama")
	s.alice.works(t, proxy+" -- ollama run tiny hello", answer)
	s.alice.works(t, proxy+" -- ollama ps", "tiny:latest")
	s.alice.fails(t, proxy+" -- ollama rm tiny", "--allow delete")
	s.alice.works(t, proxy+" --allow push,delete -- ollama cp tiny other", "copied")
	s.alice.works(t, proxy+" --allow push,delete -- ollama rm tiny other", "deleted")
	s.stranger.fails(t, proxy+" -- ollama list", "the key is not enrolled")
	s.bob.fails(t, proxy+" -- ollama list", "bob has no grant")
	s.alice.works(t, "ollama push --insecure "+s.model, "success") // a registry takes tokens only, in each mode
}
