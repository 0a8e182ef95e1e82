# SPDX-License-Identifier: BSD-2-Clause
# The front door. Meson builds; this only knows what to call first.

BUILD ?= build
DESTDIR ?=
PREFIX ?= /usr/local
LIBDIR ?= lib

.PHONY: help run check build install deb bench fuzz clean setup

help:
	@echo 'make run      a tour in a minute: a disk, a NIC, a card; this host, a VM, and back'
	@echo 'make check    build in every configuration and run every test'
	@echo 'make build    build into $(BUILD)/; another compiler: make build CC=clang BUILD=build-clang'
	@echo 'make install  install under PREFIX=$(PREFIX), DESTDIR=$(DESTDIR)'
	@echo 'make deb      Debian packages, in build-deb/'
	@echo 'make bench    measure; the figures go to the terminal'
	@echo 'make fuzz     run each fuzzer for FUZZ_SECONDS (60)'
	@echo 'make clean    remove every build directory'
	@echo
	@echo 'run, check, deb, bench and fuzz first install with apt what is missing (scripts/setup).'

run:
	@scripts/setup run
	@$(MAKE) --no-print-directory build
	@BUILD='$(BUILD)' scripts/tour

check:
	@scripts/setup check
	@scripts/check

build:
	@test -f '$(BUILD)/build.ninja' || meson setup '$(BUILD)' --prefix='$(PREFIX)' --libdir='$(LIBDIR)'
	@ninja -C '$(BUILD)'

# Finds what came after the first build, but for librbd: make clean before that.
install: build
	@meson setup --reconfigure '$(BUILD)' --prefix='$(PREFIX)' --libdir='$(LIBDIR)'
	@DESTDIR='$(DESTDIR)' meson install -C '$(BUILD)'
	@test -n '$(DESTDIR)' || ldconfig 2>/dev/null || true

deb:
	@scripts/setup deb
	@scripts/deb

bench fuzz:
	@scripts/setup check
	@scripts/$@

clean:
	rm -rf build build-*
