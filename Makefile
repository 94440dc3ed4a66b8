# make demo   set-up, release build, and people at a gate without hardware
# make test   set-up, formatting, lints, all tests; the fuzz targets are compiled
# make crash  power cuts and kills: 510 images of the journal, 510 of the codes cache, 200 kills of the daemon
# make bench  core, codes, journal, cache and sync beside the plain alternatives; ROWS=10000000 DIR=/on/the/card, DRAIN=10000000
# make fuzz   every profile's decoder for SECONDS (120) each: no panic, no run past 50 ms, no more than 1 MiB allocated
.PHONY: setup setup-tests build demo test crash bench fuzz

setup:
	@sh .ci/setup

setup-tests:
	@sh .ci/setup tests

build: setup
	cargo build --release --locked

demo: build
	@target/release/turnstiled demo $(DEMO)

test: setup-tests
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features -- -D warnings
	cd tests/fuzz && cargo check --locked --target-dir $(FUZZ)/build
	cargo test --locked

crash: setup-tests
	CRASH_IMAGES=510 CRASH_ROUNDS=200 cargo test --locked --release --test crash -- --nocapture --test-threads 1

bench: setup-tests
	cargo bench --locked --bench codes
	cargo bench --locked --bench journal
	cargo bench --locked --bench lists
	cargo bench --locked --bench core
	LANES_PEOPLE=300 cargo test --locked --release --test stories one_lanes_hanging -- --nocapture

# Coverage of libFuzzer without a sanitizer, which needs no nightly toolchain; with --target, so that build scripts have none.
FUZZ_TARGETS = ride_v81 ride_cwt hcert shc id_card opaque tag
FUZZ := $(abspath $(or $(CARGO_TARGET_DIR),target))/fuzz
FUZZ_HOST := $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_COVERAGE = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares

fuzz: setup-tests
	cd tests/fuzz && cargo run --locked --target-dir $(FUZZ)/build --bin seeds -- $(FUZZ)/corpus
	cd tests/fuzz && for target in $(FUZZ_TARGETS); do \
		RUSTFLAGS="$(FUZZ_COVERAGE)" cargo run --locked --release --target-dir $(FUZZ)/build \
			--target $(FUZZ_HOST) --bin $$target -- \
			-max_total_time=$(or $(SECONDS),120) -max_len=2000 -print_final_stats=1 \
			-artifact_prefix=$(FUZZ)/$$target- $(FUZZ)/corpus/$$target || exit 1; done
