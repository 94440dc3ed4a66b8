# make demo   set-up, release build, and people at a gate without hardware
# make test   set-up, formatting, lints, all tests
.PHONY: setup build demo test

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
