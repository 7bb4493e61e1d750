# What the tests need besides Go is in .ci/run. Where a keychain, an agent or another
# service is missing, its tests are skipped, and "make test" ends with a list of them;
# under CI they fail. Without a compiler for C, "make test-all" leaves out -race.

GOFUMPT     := go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
# -race makes the cipher behind passphrases 25 times slower, and the cipher shares nothing. A
# program with -race sleeps a second before it ends, and tests start thousands of programs.
RACE        := $(if $(CI)$(shell command -v gcc clang),-race -gcflags=golang.org/x/crypto/blowfish=-race=false)
export GORACE := atexit_sleep_ms=0
# Four packages at least are tested at a time, because many wait for other programs.
PARALLEL    := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n > 4 ? n : 4)))
PLATFORMS   := linux/amd64 linux/arm64 darwin/arm64 windows/amd64 freebsd/amd64 openbsd/amd64
FUZZTIME    := 20000x

BUILDFLAGS  ?= -trimpath
PREFIX      ?= /usr/local
SOURCES     := go.mod go.sum $(shell find . -name '*.go' -not -path './bench/*' -not -path './gate/*' -not -path './plugins/*' -o -path './docs/*.md')

.PHONY: all build install uninstall test test-all check cross windows fuzz demo man bench bench-test gate-test pkcs11-test mutants

all: test

# Without -race, and without the slow tests (-short), most of which kill or race processes
# many times: test-all has both. The check vets all packages, so no target vets them again
# with its tests (-vet=off).
test: check
	go run ./scripts/gotest -vet=off -p $(PARALLEL) -short -timeout 30m ./...

test-all: check
	go run ./scripts/gotest -vet=off -p $(PARALLEL) $(RACE) -timeout 30m ./...

check:
	@files=$$($(GOFUMPT) -l .) && test -z "$$files" || { echo "run gofumpt -w on: $$files"; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...

# Every platform builds and vets without cgo, as release builds do.
cross:
	@set -e; for p in $(PLATFORMS); do echo "build and vet $$p"; \
		export GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0; go build ./...; go vet ./...; done

# The Windows build's own tests, in Wine (Debian: wine64, gcc-mingw-w64-x86-64-win32).
windows:
	scripts/wine/test ./backends/keyring ./backends/file ./internal/access

# Counted, since Go 1.26 may fail a run that a clock ends as if the target had
# been slow (golang/go#75804).
fuzz:
	@set -e; for m in . gate; do for dir in $$(go list -C $$m -f '{{.Dir}}' ./...); do \
		for f in $$(grep -hos '^func Fuzz[[:alnum:]]*' $$dir/*_test.go | cut -c6-); do \
			echo "$$dir $$f"; (cd $$dir && go test -vet=off -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x .); \
		done; done; done

# Plants mistakes and wants a test to notice each: docs/mutants.md. SAMPLE=1 plants all.
SAMPLE ?= 40
mutants:
	go run ./scripts/mutants -sample $(SAMPLE)

demo:
	go run ./cmd/countersign demo

# The program, its manual pages and its completions, in dist/.
build: dist/countersign man dist/completions/countersign

dist/countersign: $(SOURCES)
	go build $(BUILDFLAGS) -o $@ ./cmd/countersign

# Manual pages, with the date of the last commit if there is a repository.
man: dist/man/countersign.1

dist/man/countersign.1: $(SOURCES)
	rm -rf dist/man
	mkdir -p dist/man
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || date +%s) go run -tags man ./cmd/countersign dist/man

dist/completions/countersign: dist/countersign
	mkdir -p dist/completions
	dist/countersign completion zsh >dist/completions/_countersign
	dist/countersign completion fish >dist/completions/countersign.fish
	dist/countersign completion bash >$@

# Copies the results of "make build" below $(DESTDIR)$(PREFIX).
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 dist/countersign $(DESTDIR)$(PREFIX)/bin
	install -m 644 dist/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 dist/completions/countersign $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 644 dist/completions/_countersign $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 dist/completions/countersign.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/countersign $(DESTDIR)$(PREFIX)/share/man/man1/countersign.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/countersign-*.1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/countersign \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_countersign \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/countersign.fish

# The open files and the memory of 10,000 signatures with each store.
.PHONY: leaks
leaks:
	go test -count=1 -v -run TestLeaks ./scripts/leaks -signatures 10000

# Whole programs to copy, each a module of its own.
.PHONY: examples-test
examples-test:
	cd examples/daemon && go vet ./... && $(STATICCHECK) ./... && go test -vet=off $(RACE) ./...
	cd examples/desktop && CGO_ENABLED=0 go vet ./window && CGO_ENABLED=0 go test -vet=off ./window

# Beside the peers, which only this module brings in: measures, and writes
# docs/performance.md and .svg.
bench:
	cd bench && go run .

# The server side, a module of its own, and its tests with a real registry and with clients
# that others wrote (Debian: skopeo, podman).
gate-test:
	cd gate && go vet ./... && $(STATICCHECK) ./... && go test -vet=off $(RACE) ./...
	cd gate/demo && go vet ./... && go test -vet=off ./...
	cd gate/clients && go vet ./... && go test -vet=off ./...

# A gate under load for a minute, while keys, grants, certificates and signing keys change.
.PHONY: load
load:
	cd gate/demo && go run ./load -time 60s

# Through SoftHSM (Debian: softhsm2, opensc). The page starts the plugin many times, and a
# program with -race takes a second to end.
pkcs11-test:
	cd plugins/pkcs11 && go vet ./... && $(STATICCHECK) ./... && go test -vet=off $(RACE) -skip TestHardwarePage ./... && go test -vet=off -run TestHardwarePage ./...

bench-test:
	cd bench && go vet ./... && go test -vet=off ./...
