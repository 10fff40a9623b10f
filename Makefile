# Run as root, every target sets up what it needs by itself, so that `sudo make
# image` and `sudo make test` work on a bare Debian 12 or 13.

PROFILE ?= debian-13
OUTPUT  ?= dist

# Root may build a checkout that is someone else's. git would be wary of it, but
# whoever runs its Makefile trusts it already.
git := git -c safe.directory='$(CURDIR)'

# A checkout is on its way to RELEASE: as Debian sorts versions, ~git comes
# before it, and a later commit after an earlier one. A release itself is built
# with VERSION=0.1.0.
RELEASE := 0.1.0
COMMIT  := $(shell $(git) describe --always --exclude='*' --abbrev=7 --dirty=.dirty 2>/dev/null)
TIME    := $(shell TZ=UTC0 $(git) log -1 --format=%cd --date=format-local:%Y%m%d%H%M%S 2>/dev/null)
VERSION ?= $(RELEASE)$(if $(COMMIT),~git$(TIME).$(COMMIT))

# The clock of a build is its commit, so that two builds of it are identical.
SOURCE_DATE_EPOCH ?= $(shell $(git) log -1 --format=%ct 2>/dev/null)
ifneq ($(SOURCE_DATE_EPOCH),)
export SOURCE_DATE_EPOCH
endif

# Where scripts/setup puts what Debian is too old for, and where Go's own
# installer puts Go, which sudo tends to forget.
export PATH := /usr/local/lib/banyan-tools/bin:/usr/local/go/bin:$(PATH)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.PHONY: help image packages programs test soak check lint bench lab clean

# $(call set-up,image|test,PROGRAMS): as root, set the machine up; as anybody
# else, fail where one of PROGRAMS is missing.
define set-up
@if [ $$(id -u) = 0 ]; then scripts/setup $1; fi
@for tool in $2; do command -v $$tool >/dev/null || \
	{ echo "$$tool is missing: sudo scripts/setup $1"; exit 1; }; done
endef

help: ## say this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s%s\n", $$1, $$2 }' Makefile
	@echo 'PROFILE=$(PROFILE) OUTPUT=$(OUTPUT) VERSION=$(VERSION)'

image: programs ## build the disk image of PROFILE into OUTPUT
	bin/build image --profile $(PROFILE) --output $(OUTPUT)/

packages: programs ## build the .debs of Banyan itself into OUTPUT
	bin/build packages --output $(OUTPUT)/

programs:
	$(call set-up,image,go mmdebstrap)
	CGO_ENABLED=0 go build -trimpath -buildvcs=false \
		-ldflags '-s -w -X banyan/internal/version.Version=$(VERSION)' -o bin/ ./cmd/...

# The images of these profiles.
images = $(foreach profile,$1,$(abspath $(OUTPUT)/banyan-$(profile)-$(VERSION).img))

# What was built, for those who test and measure it.
built = BANYAN_BUILD='$(abspath bin/build)' BANYAN_IMAGE='$(call images,$(PROFILE))' BANYAN_ARTIFACTS='$(abspath $(OUTPUT))'

# $(call run-tests,TAGS,TIMEOUT,PROFILES): run the tests with these build tags and
# this time limit for a package. The images of PROFILES are built too and booted
# once; subst makes of their list one that is separated by colons. The packages
# in tests take turns, since the machines that they boot want all of this one, and
# nothing comes from Go's cache, which knows nothing of the images. Tests that
# run beside one another also write so; at the end gotestsum tells of each that
# failed alone. A skipped test has proved nothing, so it fails the run.
define run-tests
scripts/setup test
for profile in $3; do bin/build image --profile $$profile --output $(OUTPUT)/; done
export $(built) BANYAN_OTHER_IMAGES='$(subst $() ,:,$(call images,$3))'; \
	run() { gotestsum --format standard-verbose -- -race -count=1 -tags '$1' -timeout $2 "$$@" 2>&1; }; \
	{ run $$(go list ./... | grep -v /tests/) && run -p 1 ./tests/...; } | \
	tee $(OUTPUT)/test.log | sed -u '/^ *=== \(RUN\|PAUSE\|CONT\|NAME\) /d; /^ *--- PASS/d'
@echo 'Minutes per package:'
@awk '/^ok/ { printf "%6.1f %s\n", $$3 / 60, $$2 }' $(OUTPUT)/test.log
@if grep '^ *--- SKIP' $(OUTPUT)/test.log; then echo 'FAIL: these were skipped'; exit 1; fi
endef

test: lint image ## lint, build the image, boot it and run it in the lab: all that is promised (root)
	$(call run-tests,boot lab,1h,debian-12 debian-11)

soak: image ## test at every point, for hours (root)
	$(call run-tests,boot lab soak,24h,debian-12 debian-11)

check: lint ## lint, unit and golden tests, in a minute or two
	go test ./...

lint: ## format, vet, lint
	$(call set-up,test,go golangci-lint lintian)
	go vet ./...
	golangci-lint run
	go mod tidy -diff

bench: image ## measure building, booting and parsing (root)
	scripts/setup test
	$(built) scripts/bench

lab: image ## start a cluster over two sites to look at, and say how to enter it (root)
	scripts/setup test
	$(built) scripts/lab start

clean: ## remove what was built
	rm -rf bin dist
