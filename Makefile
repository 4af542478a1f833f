# Wherry: everything a newcomer types. `make help` lists it.

TARGET  := $(shell rustc -vV | sed -n 's/^host: //p')
OUT     := target/release
TINY    := target/$(TARGET)/tiny
# What the stories run: target/release after `make build` is the other choice.
PROGRAMS ?= target/checked
PREFIX  ?= /usr/local
DESTDIR ?=
CARGO   ?= cargo
# Kernel and disk of the emulated machine.
GUEST   ?= target/guest

.PHONY: help build tiny target/checked demo demo-stop test unit integration soak up down bench install uninstall guest guest-smoke guest-bench fmt lint

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: tiny ## the five programs, optimised, in target/release
	$(CARGO) build --release -p ctl -p engined -p supervisord
	install -D -m 755 -t $(OUT) $(TINY)/rt $(TINY)/shim $(TINY)/wherry-logger
	ln -sf shim $(OUT)/containerd-shim-wherry-v1

tiny:
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build -p rt -p shim --profile tiny --target $(TARGET)

# The stories' programs: daemons that check their arithmetic and assertions, and rt and shim as they are shipped.
target/checked: tiny
	$(CARGO) build --workspace --bins --tests
	install -D -m 755 -t $@ $(TINY)/rt $(TINY)/shim $(TINY)/wherry-logger
	ln -sf $(foreach program,ctl engined supervisord,../debug/$(program)) $@/
	ln -sf shim $@/containerd-shim-wherry-v1

$(OUT)/stack:
	$(CARGO) build --release -p integration

$(OUT)/engined:
	$(MAKE) build

demo: ## install what is missing, build, start the daemons, run a first container
	deploy/needs demo
	$(MAKE) build
	$(CARGO) build --release -p integration
	deploy/demo

demo-stop: ## stop the daemons of the demo and remove its containers
	$(OUT)/stack down --system

test: ## install what the tests need, build, run every test
	deploy/needs test
	$(MAKE) $(PROGRAMS) unit integration guest-smoke

unit: ## the tests beside the code
	$(CARGO) nextest run --workspace -E 'not package(integration)'
	$(CARGO) test --workspace --doc -q

integration: $(PROGRAMS) ## user stories and the interoperability matrix, on private stacks
	WHERRY_PROGRAMS=$(abspath $(PROGRAMS)) WHERRY_REQUIRE_PEERS=1 \
	  $(CARGO) nextest run --workspace -E 'package(integration)'

soak: ## kill every daemon a hundred times and more, cut the power a thousand times (half an hour)
	deploy/needs test
	$(MAKE) build
	$(CARGO) build -p shim -p rt
	WHERRY_KILLS=200 $(CARGO) test -p supervisord --test survival -- crash --nocapture --test-threads=1
	WHERRY_SCALE=500 $(CARGO) test -p supervisord --test survival -- scale --nocapture
	WHERRY_POWER_CUTS=1000 $(CARGO) test -p wherry-metadata --test power -- --nocapture
	WHERRY_KILLS=100 $(CARGO) test -p integration --test crash -- --nocapture

up: $(OUT)/stack $(OUT)/engined ## start a private stack: make up STATE=DIR
	@test -n "$(STATE)" || { echo "make up needs STATE=DIR" >&2; exit 2; }
	@$(OUT)/stack up $(STATE) $(ENGINED_FLAGS)

down: $(OUT)/stack ## stop it and leave nothing: make down STATE=DIR
	@test -n "$(STATE)" || { echo "make down needs STATE=DIR" >&2; exit 2; }
	@$(OUT)/stack down $(STATE)

bench: ## measure side by side with Debian's dockerd (ROWS=words of rows, MIB=size)
	deploy/needs test
	$(MAKE) build
	$(CARGO) run --release -p integration --bin bench

guest: ## rt, the stack and the units under cgroup v2 and systemd, in an emulated machine (half an hour)
	deploy/needs guest
	integration/guest/make $(GUEST)
	integration/guest/check $(GUEST) v2
	integration/guest/check $(GUEST) systemd
	$(MAKE) $(PROGRAMS)
	integration/guest/stories/run $(GUEST) $(PROGRAMS)

guest-smoke: ## the short part of it: a container's limits and life under cgroup v2
	deploy/needs guest
	integration/guest/make $(GUEST)
	integration/guest/check $(GUEST) v2 limits_are_set a_container_lives

guest-bench: ## rt, runc and crun side by side on cgroup v2, where crun runs
	deploy/needs guest
	integration/guest/make $(GUEST)
	integration/guest/bench $(GUEST)

install: ## programs, units and default configuration below DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/etc/wherry $(DESTDIR)/usr/lib/systemd/system $(DESTDIR)/usr/lib/sysusers.d
	install -m 755 $(OUT)/ctl $(OUT)/engined $(OUT)/supervisord $(OUT)/shim $(OUT)/rt $(OUT)/wherry-logger $(DESTDIR)$(PREFIX)/bin/
	ln -sf shim $(DESTDIR)$(PREFIX)/bin/containerd-shim-wherry-v1
	$(OUT)/ctl __man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(OUT)/ctl completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ctl
	$(OUT)/ctl completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ctl
	$(OUT)/ctl completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ctl.fish
	for unit in engined.service engined.socket supervisord.service; do \
	  sed 's|@bindir@|$(PREFIX)/bin|g' deploy/systemd/$$unit > $(DESTDIR)/usr/lib/systemd/system/wherry-$$unit; done
	install -m 644 deploy/systemd/wherry.conf $(DESTDIR)/usr/lib/sysusers.d/wherry.conf
	test -e $(DESTDIR)/etc/wherry/daemon.json || install -m 644 deploy/daemon.json $(DESTDIR)/etc/wherry/daemon.json
	test -e $(DESTDIR)/etc/wherry/supervisord.toml || install -m 644 bins/supervisord/src/config/default.toml $(DESTDIR)/etc/wherry/supervisord.toml

uninstall: ## what install put there, but for the configuration
	for program in ctl engined supervisord shim rt wherry-logger containerd-shim-wherry-v1; do \
	  rm -f $(DESTDIR)$(PREFIX)/bin/$$program; done
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/ctl.1 $(DESTDIR)$(PREFIX)/share/man/man1/ctl-*.1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ctl $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ctl \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ctl.fish
	rm -f $(DESTDIR)/usr/lib/systemd/system/wherry-engined.service $(DESTDIR)/usr/lib/systemd/system/wherry-engined.socket \
	  $(DESTDIR)/usr/lib/systemd/system/wherry-supervisord.service $(DESTDIR)/usr/lib/sysusers.d/wherry.conf

fmt: ## one style
	$(CARGO) fmt --all

lint: ## what the compiler and clippy say
	$(CARGO) clippy --workspace --all-targets -- -D warnings
