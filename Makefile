# Two commands for users: `make image` and `make test`. Both set up all that they need, on Debian
# 12 or 13, with git, make and python3 there. The rest is for those who work on edge-build.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: help image test check unit fuzz soak claims test-image test-kairos test-kubernetes test-netns test-oci test-host test-vm test-yip bench setup setup-test setup-bench container clean

VENV := .venv
BIN := $(VENV)/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
PYTEST := $(SUDO) $(BIN)/pytest

BUILD_PACKAGES := ca-certificates debian-archive-keyring grub-common grub-efi-amd64-bin grub-pc-bin lz4 \
    mmdebstrap mtools python3-venv squashfs-tools squashfs-tools-ng util-linux xorriso zstd
TEST_PACKAGES := cpio dnsmasq-base docker.io docker-registry dosfstools e2fsprogs etcd-server ethtool gcc iproute2 iptables iputils-ping \
    libc6-dev netplan.io nftables groff-base lintian mandoc openssh-client ovmf procps qemu-system-x86 systemd tcpdump
BENCH_PACKAGES := frr iperf3 nebula tinc

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

image: setup ## build build/edge-installer.iso from examples/user-data.yaml
	$(SUDO) $(BIN)/edge-build image --user-data examples/user-data.yaml --output build

test: setup-test check ## all tests: unit, network namespaces, containers, VMs (about 50 minutes)
	$(SUDO) $(BIN)/python -m tests.tiers

check: $(VENV)/.test ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.test ## the unit tests only (seconds)
	$(BIN)/pytest tests/unit

test-image test-kairos test-kubernetes test-netns test-oci test-host test-vm test-yip: setup-test ## one tier of the tests only
	$(PYTEST) tests/$(@:test-%=%)

fuzz: $(VENV)/.test ## hostile input by the million (RUNS=400000 for each of three targets)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	for target in raw signed conversation; do \
	    $(BIN)/python -m tests.fuzz.run $$target $(or $(RUNS),400000) build/fuzz/$$target || exit 1; done
	$(BIN)/python -m tests.fuzz.documents $(or $(DOCUMENTS),200000)

soak: setup-test ## dozens of real agents and random troubles, for half an hour (MINUTES=30 HOSTS=40)
	$(SUDO) $(BIN)/python -m tests.soak --hosts $(or $(HOSTS),40) --minutes $(or $(MINUTES),30)

claims: $(VENV)/.test ## hundreds of hosts that claim addresses at once, in virtual time (minutes)
	$(BIN)/python -m tests.crowd.claims 200 100.64.192.0/23 1 2 3
	$(BIN)/python -m tests.crowd.claims 250 100.64.192.0/24 1 2 3

bench: setup-bench ## the benchmarks (hours, on a machine that does nothing else)
	$(SUDO) $(BIN)/python -m benchmarks.build
	$(SUDO) $(BIN)/python -m benchmarks.overlay --runs 20 --keep build/benchmarks/gaps.jsonl

setup: $(VENV)/.build-packages $(VENV)/.installed ## what `make image` needs

setup-test: setup $(VENV)/.test-packages $(VENV)/.test

setup-bench: setup-test $(VENV)/.bench-packages

container: ## the builder as a container image, edge-build:latest
	docker build --tag edge-build .

clean: ## remove build/ and the virtual environment (not the cache: edge-build clear-cache)
	$(SUDO) rm -rf build $(VENV) *.egg-info .pytest_cache .hypothesis

# Packages are installed only where they are missing, so that no network and no root is needed
# the second time.
define install-missing
	@mkdir -p $(VENV)
	@missing=; for p in $(1); do \
	    dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed \
	        || { [ $$p = docker.io ] && command -v dockerd >/dev/null; } \
	        || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	    echo "installing:$$missing"; \
	    $(SUDO) apt-get update -q && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
	fi
	@touch $@
endef

$(VENV)/.build-packages: Makefile
	$(call install-missing,$(BUILD_PACKAGES))

$(VENV)/.test-packages: Makefile
	$(call install-missing,$(TEST_PACKAGES))
	@# Debian 13 has docker(1) in a package of its own.
	@command -v docker >/dev/null || $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -q -y --no-install-recommends docker-cli

$(VENV)/.bench-packages: Makefile
	$(call install-missing,$(BENCH_PACKAGES))

$(VENV)/.installed: pyproject.toml $(VENV)/.build-packages
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
