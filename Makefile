# The everyday commands; `make` lists them. .ci/run calls these targets, so each
# command is written down once, here.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

STATICCHECK_VERSION := v0.8.2
STATICCHECK := bin/staticcheck-$(STATICCHECK_VERSION)

GOVULNCHECK_VERSION := v1.9.0
GOVULNCHECK := bin/govulncheck-$(GOVULNCHECK_VERSION)

# A line that a rule is wrong about says so: #nosec RULE -- reason. Left out are the rules that are
# wrong about what this project is for:
#   G103, unsafe: layers lie outside the heap, and assembly takes addresses.
#   G104, errors that nobody looks at: it means Close of what was read, or was given up. What was
#         written is synced, and those errors count (package durable).
#   G115, conversions that may overflow: node numbers, sizes and offsets are checked where they come in,
#         against a sector's size, and the rule follows no value across a function.
#   G304, files whose names are variables: a command opens what its user names. What must not lead
#         elsewhere is opened below a directory's descriptor (durable.Dir, reserve).
GOSEC_VERSION := v2.30.0
GOSEC := bin/gosec-$(GOSEC_VERSION)
GOSEC_EXCLUDED := G103,G104,G115,G304

NFPM_VERSION := v2.48.0
NFPM := bin/nfpm-$(NFPM_VERSION)

# The last tag and the commits since, or the commit where no tag is; empty where there
# is no clone, and then the binary says what the go command knows. The clone may belong
# to another user.
VERSION = $(shell git -c safe.directory='*' describe --tags --match='v[0-9]*' --always --abbrev=12 --dirty 2>/dev/null)
LINKED_VERSION = $(addprefix -X=main.linkedVersion=,$(VERSION))
LDFLAGS = $(LINKED_VERSION) $(START)
# Where the program begins, so that it can tell which standard streams were closed: see
# internal/linux/start_linux_amd64.s.
START = $(if $(filter linux/amd64 linux/arm64,$(shell go env GOOS)/$(shell go env GOARCH)),-E=sdr_start)

# The packages with kernels, and the ones that compute with them: for the others, what
# kernels there are makes no difference.
KERNEL_PACKAGES := ./engine ./seal ./sha256 ./internal/portlimits ./graph ./fr32 ./merkle ./parentcache

# An arm64 machine runs its own tests; elsewhere QEMU does (Debian's package
# qemu-user-static). It is some fifty times slower, hence -short.
ARM64_EXEC := $(if $(filter arm64,$(shell go env GOHOSTARCH)),,-exec qemu-aarch64-static)

# Bochs takes a hundred times as long as the machine that it runs on. On a CPU
# without kernels of its own, the tests that compare all there are say little.
EMULATED := ^(TestBest|TestKernel|TestLabelKnownAnswers|TestUnreadablePages|TestHashPairs|TestHashPairsZeroTrees|TestBadRuns|TestNoAllocations|TestSelfTest|TestVectorSamples)$$
EMULATED_GOLDEN := ^TestGolden$$/^StackedDrg2KiBV1_1$$

# A command's tests run it hundreds of times, which is slow where it is, and says little
# of what the detector, or a kernel, is about: there only some of them are run. The rules
# of the house, which vet every build, are the same in each, and some packages start no
# goroutine, nor do their tests.
SEQUENTIAL := /(internal/(lint|coreclock|disassembly|durable|errorfs|golden|layers|memorymode|portlimits|profile|roundup|testkit|tune|words)|placement|porep)$$
CONCURRENT = $(shell go list ./... | grep -v -e /cmd/ | grep -vE '$(SEQUENTIAL)')
RACED := ^(TestTerminal|TestDumbTerminal|TestNeverOnAHashingCore|TestBenchJSON|TestTuneInterrupted|TestFullAndReadOnlyFileSystems)$$

# Inputs for each fuzz target: a count, so that every machine tries the same number.
FUZZTIME ?= 20000x
# Which benchmarks, of which packages, how many times, each for how long or, as 1x, how often.
BENCH ?= .
BENCHED ?= ./...
COUNT ?= 1
BENCHTIME ?= 1s

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/sdrbench, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags='$(LDFLAGS)' -o bin/sdrbench ./cmd/sdrbench

# Where the C library goes, and what cargo makes of its example.
LIBSDR ?= bin
CARGO_TARGET_DIR ?= $(abspath $(LIBSDR))/rust

.PHONY: libsdr
libsdr: ## bin/libsdr.so, bin/libsdr.a and bin/sdr.h, the library for C, C++, Rust (needs a C compiler)
	CGO_ENABLED=1 go build -trimpath -buildmode=c-shared -ldflags='$(LINKED_VERSION) -extldflags=-Wl,-soname,libsdr.so,--version-script=$(CURDIR)/cmd/libsdr/libsdr.map' -o $(LIBSDR)/libsdr.so ./cmd/libsdr
	CGO_ENABLED=1 go build -trimpath -buildmode=c-archive -ldflags='$(LINKED_VERSION)' -o $(LIBSDR)/libsdr.a ./cmd/libsdr
	rm $(LIBSDR)/libsdr.h # what cgo says of itself: the contract is sdr.h
	cp cmd/libsdr/sdr.h $(LIBSDR)/

.PHONY: libsdr-rust
libsdr-rust: libsdr ## the example in Rust: builds it, and seals a sector of 2 KiB with it (needs cargo)
	cd cmd/libsdr/examples/rust && LIBSDR='$(abspath $(LIBSDR))' CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)' cargo run --release --locked --quiet

$(NFPM):
	GOBIN="$(CURDIR)/bin" go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv bin/nfpm $@

.PHONY: package
package: $(NFPM) ## deb and rpm packages for amd64 and arm64, in bin/packages
	NFPM=$(NFPM) VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' scripts/package.sh

.PHONY: package-test
package-test: $(NFPM) ## are the packages reproducible, and do they work? (Debian, root)
	NFPM=$(CURDIR)/$(NFPM) scripts/package-test.sh

.PHONY: run
run: ## the main job: seal a 512 MiB sector of our own making and check it
	go run ./cmd/sdrbench bench

.PHONY: test
test: ## the tests
	go test ./...

.PHONY: test-long
test-long: ## the tests with the long ones: whole 512 MiB sectors
	SDR_LONG_TESTS=1 go test -timeout=20m $$(go list ./... | grep -v /internal/lint$$) # those are make vet's

# How many kills of sectors of 8 MiB, and of 512 MiB: 200 in all.
KILLS_8MIB ?= 150
KILLS_512MIB ?= 50

.PHONY: kill
kill: ## pc1 of sectors of 8 and of 512 MiB, in both memory modes, killed at 200 random moments and run again (some 20 minutes)
	SDR_KILL_SECTOR=zero-8MiB-1.1 SDR_KILL_ROUNDS=$(KILLS_8MIB) go test -timeout=30m -count=1 -run='^TestKilled$$' -v ./cmd/sdrbench
	SDR_KILL_SECTOR=visible-512MiB-1.1-16 SDR_KILL_ROUNDS=$(KILLS_512MIB) go test -timeout=40m -count=1 -run='^TestKilled$$' -v ./cmd/sdrbench
	SDR_LONG_TESTS=1 go test -timeout=10m -count=1 -run='^TestKilledWorkDir$$' -v ./cmd/sdrbench

.PHONY: race
race: ## the short tests under the race detector (needs a C compiler)
	go test -vet=off -race -short -timeout=20m $(CONCURRENT)
	go test -vet=off -race -short -timeout=20m -run='$(RACED)' ./cmd/sdrbench

.PHONY: purego
purego: ## the short tests with generic kernels only
	go test -vet=off -tags=purego -short -timeout=20m $(KERNEL_PACKAGES) ./sealer
	go test -vet=off -tags=purego -short -timeout=20m -run='^TestScripts$$' ./cmd/sdrbench

.PHONY: arm64
arm64: ## the tests of the arm64 kernels and what uses them, under QEMU
	CGO_ENABLED=0 GOARCH=arm64 go test -vet=off -short -timeout=20m $(ARM64_EXEC) $(KERNEL_PACKAGES)

.PHONY: emulate
emulate: ## the tests of x86-64 kernels on CPUs that we need not have, with and without AVX-512
	SDR_TEST_KERNELS=avx512 scripts/emulate.sh -c corei3_cnl -f 'avx512f avx512bw avx512vl avx512dq sha_ni' ./sha256 ./graph ./fr32 ./engine -- -test.short -test.run='$(EMULATED)|$(EMULATED_GOLDEN)'
	scripts/emulate.sh -c corei5_lynnfield_750 -f '!avx !sha_ni' ./sha256 -- -test.short -test.run='^(TestBest|TestLabelKnownAnswers|TestHashPairs)$$'

.PHONY: reflink
reflink: ## the tests on a file system that shares blocks (as root, with mkfs.xfs)
	scripts/filesystems.sh xfs

.PHONY: filesystems
filesystems: ## a sector's files on ext4, XFS and btrfs, as images (as root, with mkfs of each)
	scripts/filesystems.sh

.PHONY: test-numa
test-numa: ## the tests that need several NUMA nodes, in a guest under QEMU (Debian on amd64)
	scripts/numa-guest.sh

.PHONY: mod
mod: ## are the modules what go.sum says, and go.mod what `go mod tidy` makes?
	go mod verify
	go mod tidy -diff

.PHONY: vet
vet: ## the rules of the house: levels, gofmt, vet for amd64 and arm64, other platforms compile
	SDR_LONG_TESTS=1 go test -count=1 ./internal/lint

# Named by version, so that a new version is a new file.
$(STATICCHECK):
	GOBIN="$(CURDIR)/bin" go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	mv bin/staticcheck $@

$(GOVULNCHECK):
	GOBIN="$(CURDIR)/bin" go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv bin/govulncheck $@

$(GOSEC):
	GOBIN="$(CURDIR)/bin" go install github.com/securego/gosec/v2/cmd/gosec@$(GOSEC_VERSION)
	mv bin/gosec $@

.PHONY: gosec
gosec: $(GOSEC) ## gosec: what it knows of insecure code
	$(GOSEC) -quiet -exclude=$(GOSEC_EXCLUDED) -exclude-dir=testdata ./...

.PHONY: vuln
vuln: $(GOVULNCHECK) ## govulncheck: known faults of what is built in (asks vuln.go.dev, or GOVULNDB)
	GOVULNCHECK=$(GOVULNCHECK) scripts/vuln.sh

.PHONY: staticcheck
staticcheck: $(STATICCHECK) ## staticcheck for amd64 and arm64
	GOARCH=amd64 $(STATICCHECK) ./...
	GOARCH=arm64 $(STATICCHECK) ./...

.PHONY: lint
lint: vet staticcheck ## vet and staticcheck

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME inputs (20000x)
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## Go benchmarks: BENCH=regexp COUNT=5
	go test -vet=off -run='^$$' -bench='$(BENCH)' -benchtime=$(BENCHTIME) -benchmem -count=$(COUNT) $(BENCHED)

# A file of bench/results: its name, how many rounds. benchstat wants six.
RESULTS ?= bench/results/$(shell date +%F)-$(shell sed -n '/^model name/{s/.*: //;s/([A-Za-z]*)//g;s/[^A-Za-z0-9]\+/-/g;p;q}' /proc/cpuinfo | tr A-Z a-z).txt
ROUNDS ?= 6

.PHONY: results
results: build ## this machine's figures: RESULTS=FILE ROUNDS=6 (on a machine that does nothing else)
	scripts/results.sh bin/sdrbench '$(RESULTS)' '$(ROUNDS)'

.PHONY: oracle-p2
oracle-p2: ## does the reference's phase 2 accept our phase 1? (needs cargo, or ORACLE=binary)
	scripts/oracle-p2.sh

.PHONY: packings
packings: ## does addpiece pack 60 random sectors as the reference does, with --fill? (needs cargo, or ORACLE=binary)
	scripts/packings.sh

.PHONY: damocles
damocles: build ## damocles' side of `sdrbench processor`, on its own crate, then kill -9 at work (needs cargo; CHECK=check.sh ROUNDS=100)
	scripts/damocles.sh bin/sdrbench

.PHONY: ci
ci: ## everything CI does
	.ci/run
