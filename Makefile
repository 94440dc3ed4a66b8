# make demo   set-up, release build, and people at a gate without hardware
# make test   set-up, formatting, lints, all tests
# make bench  cache and sync beside the plain alternative: ROWS=10000000 DIR=/on/the/card
.PHONY: setup build demo test bench

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

bench: setup
	cargo bench --locked --bench lists
