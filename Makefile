# make demo   set-up, release build, and people at a gate without hardware
# make test   set-up, formatting, lints, all tests
# make crash  power cuts and kills: 510 images of the journal, 510 of the codes cache, 200 kills of the daemon
# make bench  journal, cache, sync and the core beside the plain alternatives; ROWS=10000000 DIR=/on/the/card, DRAIN=10000000
.PHONY: setup build demo test crash bench

setup:
	@sh .ci/setup

build: setup
	cargo build --release --locked

demo: build
	@target/release/turnstiled demo $(DEMO)

test: setup
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features -- -D warnings
	cargo test --locked

crash: setup
	CRASH_IMAGES=510 CRASH_ROUNDS=200 cargo test --locked --release --test crash -- --nocapture --test-threads 1

bench: setup
	cargo bench --locked --bench journal
	cargo bench --locked --bench lists
	cargo bench --locked --bench core
