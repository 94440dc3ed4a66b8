# make demo   set-up, release build, and people at a gate without hardware
# make test   set-up, formatting, lints, all tests; the fuzz targets are compiled
# make crash  power cuts and kills: 510 images of the journal, 510 of the codes cache, 200 kills of the daemon
# make bench  core, codes, journal, cache and sync beside the plain alternatives; a gate with every feature on; ROWS=10000000 DIR=/on/the/card, DRAIN=10000000
# make deb    the package without the feature `lab`, tried in a clean Debian root; make deb-arm64: the same for a Raspberry Pi
# make rig    two emulated boards: amd64 with systemd, the package from install to purge; a Raspberry Pi, from first light to a power cut
# make soak   an hour of simulated days that nobody has seen before; MINUTES
# make fuzz   every profile's decoder and every reader's codec for SECONDS (120) each: no panic, no run past 50 ms, no more than 1 MiB allocated
# make bench-vision  our eyes beside zxing-cpp, OpenCV and ZBar, on the same frames; SEED=20250101
.PHONY: setup setup-tests build demo test crash soak bench bench-vision fuzz deb deb-arm64 rig

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

soak: setup-tests
	cargo build --release --locked
	from=$$(($$(date +%s) * 1000)); target/release/turnstiled simulate \
		--seeds $$from..$$((from + 9000000)) --minutes $(or $(MINUTES),60)

bench: setup-tests
	cargo bench --locked --bench codes
	cargo bench --locked --bench journal
	cargo bench --locked --bench lists
	cargo bench --locked --bench core
	cargo bench --locked --bench readers
	cargo run --locked --release --quiet -- demo --passengers 150 --json
	LANES_PEOPLE=300 cargo test --locked --release --test stories one_lanes_hanging -- --nocapture

# The peers live in an environment of their own. OpenCV 5 draws no text on float pictures, which the clips need.
VISION_PEERS = target/vision/peers
bench-vision: build
	@sh .ci/setup vision
	test -x $(VISION_PEERS)/bin/python || python3 -m venv $(VISION_PEERS)
	$(VISION_PEERS)/bin/pip install --quiet 'opencv-python-headless<5' numpy segno zxing-cpp pyzbar
	$(VISION_PEERS)/bin/python tests/bench/vision.py

# Coverage of libFuzzer without a sanitizer, which needs no nightly toolchain; with --target, so that build scripts have none.
FUZZ_TARGETS = ride_v81 ride_cwt hcert shc id_card opaque tag \
	reader_text reader_identifiers reader_sam reader_pn532 reader_osdp vision
FUZZ := $(abspath $(or $(CARGO_TARGET_DIR),target))/fuzz
FUZZ_HOST := $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_COVERAGE = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares

fuzz: setup-tests
	cd tests/fuzz && cargo run --locked --target-dir $(FUZZ)/build --bin seeds -- $(FUZZ)/corpus
	cd tests/fuzz && for target in $(FUZZ_TARGETS); do \
		FRAME_MS=1000 RUSTFLAGS="$(FUZZ_COVERAGE)" cargo run --locked --release --target-dir $(FUZZ)/build \
			--target $(FUZZ_HOST) --bin $$target -- \
			-max_total_time=$(or $(SECONDS),120) -max_len=2000 -print_final_stats=1 \
			-artifact_prefix=$(FUZZ)/$$target- $(FUZZ)/corpus/$$target || exit 1; done
	@# Frames once more, as shipped: none of them past its time.
	cd tests/fuzz && cargo run --locked --release --target-dir $(FUZZ)/build --bin vision -- \
		-runs=0 $(FUZZ)/corpus/vision

# The package without the feature `lab`, for this machine and for arm64, tried in a clean Debian root.
deb: setup
	@sh .ci/setup package
	packaging/deb.sh
	packaging/test.sh $(PACKAGE)_$$(dpkg --print-architecture).deb

deb-arm64: setup
	@sh .ci/setup package
	packaging/deb.sh arm64
	lintian --fail-on error,warning --allow-root $(PACKAGE)_arm64.deb

# Two emulated boards. amd64 with systemd: relay board, scanner and camera, plugged out and in; kill, upgrade, a version that does not
# start, purge. A Raspberry Pi: rppal, camera, card module, fire, and the power is cut; its card module is the `lab` of the tests' build.
PACKAGE = $${CARGO_TARGET_DIR:-target}/deb/turnstiled_$(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
rig: setup
	@sh .ci/setup package
	@sh .ci/setup rig
	packaging/deb.sh
	packaging/deb.sh arm64
	cargo build --locked
	tests/rig/amd64.sh $(PACKAGE)_amd64.deb
	tests/rig/pi.sh $(PACKAGE)_arm64.deb $${CARGO_TARGET_DIR:-target}/debug/turnstiled
