#!/usr/bin/env bash
# Boots an emulated Raspberry Pi (QEMU raspi3b, Debian arm64 kernel) and runs the daemon of the arm64 package there: tests/rig/pi.py.
# tests/rig/pi.sh PACKAGE_arm64.deb LAB_BINARY, where LAB_BINARY is a `turnstiled` of this machine with the feature `lab`; 1 if anything
# was not as it should be. Everything is made under the target directory; nothing of this machine's packages changes.
set -euo pipefail
cd "$(dirname "$0")/../.."
package=$(realpath "$1")
lab=$(realpath "$2")
target=$(realpath "${CARGO_TARGET_DIR:-target}")
rig=$target/rig/pi
begun=$SECONDS
stage() { echo "[$((SECONDS - begun)) s] $*"; }
for tool in qemu-system-aarch64 aarch64-linux-gnu-gcc-12 fdtput mkfs.ext4 qrencode cpio depmod dpkg-deb python3; do
    command -v $tool >/dev/null || { echo "SKIPPED: the rig needs $tool (sh .ci/setup rig)" >&2; exit 1; }
done
mkdir -p "$rig"

if [ ! -e "$rig/complete" ]; then
    stage "kernel, C library and shell of arm64, one module of its kernel"
    rm -rf "$rig/apt" "$rig/deb" "$rig/kernel" "$rig/guest" "$rig/module"
    mkdir -p "$rig/apt/lists/partial" "$rig/apt/archives/partial" "$rig/deb" "$rig/module"
    # Both architectures for this look-up alone.
    cat >"$rig/apt/apt.conf" <<CONF
APT::Architectures { "amd64"; "arm64"; };
Dir::State::lists "$rig/apt/lists";
Dir::Cache "$rig/apt";
APT::Sandbox::User "root";
CONF
    export APT_CONFIG=$rig/apt/apt.conf
    apt-get update -qq
    depends() { apt-cache depends "$1" | sed -n "s/.*Depends: \($2[^ :]*\).*/\1/p" | head -1; }
    image=$(depends linux-image-arm64:arm64 linux-image-)
    headers=${image/image/headers}
    common=$(apt-cache depends "$headers:arm64" | sed -n 's/^ *\(linux-headers-[^ ]*-common\)$/\1/p' | head -1)
    kbuild=$(apt-cache depends "$headers:arm64" | sed -n 's/^ *\(linux-kbuild-[^ ]*\)$/\1/p' | head -1)
    (cd "$rig/deb" && apt-get download -qq "$image:arm64" "$headers:arm64" "$common" "$kbuild:amd64" v4l2loopback-dkms \
        busybox-static:arm64 libc6:arm64 libgcc-s1:arm64)
    unset APT_CONFIG
    for deb in "$rig"/deb/{linux-,v4l2loopback}*.deb; do dpkg-deb -x "$deb" "$rig/kernel"; done
    for deb in "$rig"/deb/{busybox,libc6,libgcc}*.deb; do dpkg-deb -x "$deb" "$rig/guest"; done
    cp "$rig"/kernel/usr/src/v4l2loopback-*/*.[ch] "$rig/module"
    echo 'obj-m := v4l2loopback.o' >"$rig/module/Makefile"
    build=$(echo "$rig"/kernel/usr/src/linux-headers-*-arm64)
    sed -i "s#include /usr/src#include $rig/kernel/usr/src#" "$build/Makefile"
    make -s -C "$build" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- M="$rig/module" modules 2>&1 | grep -v BTF || true
    test -e "$rig/module/v4l2loopback.ko"
    depmod -b "$rig/kernel" "$(basename "$rig"/kernel/lib/modules/*)"
    cp "$rig"/kernel/boot/vmlinuz-* "$rig/kernel.image"
    # The second UART is the console's instead of the radio's.
    cp "$rig"/kernel/usr/lib/linux-image-*/broadcom/bcm2837-rpi-3-b.dtb "$rig/pi.dtb"
    fdtput -r "$rig/pi.dtb" /soc/serial@7e201000/bluetooth
    rm -rf "$rig/deb" "$rig/apt"
    touch "$rig/complete"
fi

stage "root and card"
root=$rig/root
rm -rf "$root" && mkdir -p "$root"/{proc,sys,dev,etc,bin,sbin,rig,lib/aarch64-linux-gnu}
cp "$rig/guest/bin/busybox" "$root/bin/"
cp -a "$rig"/guest/lib/aarch64-linux-gnu/{libc.so.6,libm.so.6,libgcc_s.so.1,ld-linux-aarch64.so.1} "$root/lib/aarch64-linux-gnu/"
cp -a "$rig/guest/lib/ld-linux-aarch64.so.1" "$root/lib/"
modules=$(basename "$rig"/kernel/lib/modules/*)
for module in bcm2835 sdhci_iproc crc32c_generic ext4 videodev; do
    modprobe -d "$rig/kernel" -S "$modules" --show-depends "$module" | awk '/^insmod/{print $2}'
done | sort -u | while read -r file; do install -D -m 644 "$file" "$root/lib/modules/$modules/${file#*"/$modules/"}"; done
cp "$rig/kernel/lib/modules/$modules"/modules.{builtin,order} "$root/lib/modules/$modules/"
depmod -b "$root" "$modules" 2>/dev/null
dpkg-deb -x "$package" "$rig/package"
mkdir -p "$root/usr/bin"
cp "$rig/package/usr/bin/turnstiled" "$root/usr/bin/"
# The drawing's config, without the reader of the way out, which this board has no line for; with time to walk for an emulated gate.
sed '/^\[\[lane.reader\]\]/{N;/lane1-exit-scanner/{N;N;d}}' "$rig"/package/usr/share/doc/turnstiled/examples/lane-flap-pi.toml >"$root/rig/gate.toml"
sed -i -e 's/^data_dir/clock = { trust = "always" }\n&/' -e 's/^directions = .*/&\nrelease_ms = 15000\nobstruction_ms = 60000/' "$root/rig/gate.toml"
rm -rf "$rig/package"
cat >"$root/rig/trust.toml" <<'TOML'
version = 1
issuer = [
    { id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] },
    { id = "id-card", profile = "idcard", class = "identity" },
]
TOML
cp "$rig/module/v4l2loopback.ko" "$root/rig/"
aarch64-linux-gnu-gcc-12 -static -O2 -Wall -o "$root/rig/player" tests/rig/player.c
python3 tests/rig/picture.py >"$root/rig/empty.grey"
for code in G1 G2 G3 G4 R1; do python3 tests/rig/picture.py "HC:$code" >"$root/rig/$code.grey"; done
install -m 755 tests/rig/pi.init "$root/init"
ln -s /var/lib/etc-turnstiled "$root/etc/turnstiled"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$rig/root.gz"
rm -rf "$root" "$rig/card.img" "$rig/qemu.log"
truncate -s 256M "$rig/card.img"
mkfs.ext4 -q -F "$rig/card.img"

stage "boot"
code=0
timeout "${RIG_SECONDS:-600}" python3 tests/rig/pi.py "$rig" "$lab" || code=$?
stage "done"
[ "$code" != 124 ] || echo "WRONG the rig did not come to its end within ${RIG_SECONDS:-600} s"
rm -f "$rig/card.img" "$rig/root.gz"
exit "$code"
