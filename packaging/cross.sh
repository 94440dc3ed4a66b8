#!/usr/bin/env bash
# Runs a command that builds for arm64, on Debian 12 amd64: packaging/cross.sh cargo build --release. The compiler is Debian's
# `rustc-web`, which has a standard library for arm64; it conflicts with an installed rustc, so it is unpacked under the target
# directory and nothing of this machine's packages changes. A security update may move its version: it is looked up.
set -euo pipefail
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
prefix=$target/cross
lib=$prefix/usr/lib
if [ ! -e "$prefix/complete" ]; then
    command -v aarch64-linux-gnu-gcc >/dev/null || {
        echo "packaging/cross.sh needs the Debian packages gcc-aarch64-linux-gnu and libc6-dev-arm64-cross" >&2
        exit 1
    }
    rm -rf "$prefix"
    mkdir -p "$prefix/apt/lists/partial" "$prefix/apt/archives/partial" "$prefix/deb"
    # Both architectures for this look-up alone.
    cat >"$prefix/apt/apt.conf" <<CONF
APT::Architectures { "amd64"; "arm64"; };
Dir::State::lists "$prefix/apt/lists";
Dir::Cache "$prefix/apt";
APT::Sandbox::User "root";
CONF
    export APT_CONFIG=$prefix/apt/apt.conf
    apt-get update -qq
    std=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9][0-9.]*\).*/\1/p' | head -1)
    llvm=$(apt-cache depends "$std" | sed -n 's/.*Depends: \(libllvm[0-9][0-9]*\).*/\1/p' | head -1)
    (cd "$prefix/deb" && apt-get download -qq rustc-web "$std" libstd-rust-web-dev "$llvm" libstd-rust-web-dev:arm64)
    unset APT_CONFIG
    for package in "$prefix"/deb/*.deb; do dpkg-deb -x "$package" "$prefix"; done
    rm -rf "$prefix/deb" "$prefix/apt/lists"
    touch "$prefix/complete"
fi
llvm_lib=$(dirname "$(find "$lib" -name 'libLLVM*.so*' | head -1)")
export LD_LIBRARY_PATH=$lib/x86_64-linux-gnu:$llvm_lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export RUSTC=$prefix/usr/bin/rustc
# cargo of rustup would choose the compiler itself.
unset RUSTUP_TOOLCHAIN
export CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
export BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu="--sysroot=/usr/aarch64-linux-gnu -I/usr/aarch64-linux-gnu/include"
export PKG_CONFIG_ALLOW_CROSS=1
if [ "$1" = cargo ]; then
    shift
    exec "$(rustup which cargo 2>/dev/null || command -v cargo)" "$@"
fi
exec "$@"
