# What a person would call, one line each. Everything here can be called by hand as well.

.PHONY: run test fault ui bench lint gen screenshots tools

# Builds the editor and the release binary and runs it in the foreground with ./tidewire-data.
run: ui
	cargo run --release --locked

# Every test: Rust, black box, real browser, editor. Installs mosquitto and chromium when missing and possible.
test: tools ui tests/browser/node_modules/.package-lock.json
	cargo build --locked --workspace --bins --tests
	cargo test --locked --workspace
	cd editor-ui && npm test

# Power cuts, kill -9, damage and full disks, as often as FAULT_ROUNDS says (200); the table goes into docs/durability.md.
fault: tools ui
	cargo build --locked --workspace --bins --tests
	sh tests/fault.sh

# The editor bundle, which the binary embeds.
ui: editor-ui/dist/index.html

# In-process figures, each beside its limit measured in the same run.
bench: ui
	cargo run --release --locked -- bench

lint: ui
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cd editor-ui && npm run lint && npm run typecheck
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; else echo "cargo-deny is not installed: licences and bans are not checked"; fi

# JSON Schemas from the Rust types, TypeScript types from the schemas.
gen: ui
	cargo run --locked -- gen schemas
	cd editor-ui && npm run gen

# Screenshots of the editor with the demo running, into tests/browser/out.
screenshots: tools ui tests/browser/node_modules/.package-lock.json
	cargo build --locked
	node tests/browser/screenshots.mjs

tools:
	@sh tests/tools.sh

UI_SOURCES := $(shell find editor-ui/src editor-ui/public editor-ui/index.html editor-ui/vite.config.ts editor-ui/tsconfig.json -type f 2>/dev/null)

editor-ui/dist/index.html: editor-ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd editor-ui && npm run build
	@touch $@

# npm runs only when a lock file has changed, so that a second run needs no network.
%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@
