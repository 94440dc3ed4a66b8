#!/usr/bin/env bash
# Boots Debian amd64 with systemd in QEMU (software emulation: a stock kernel hangs under the KVM of some hosts) and lives through the
# life of the package there: tests/rig/guest.sh. tests/rig/amd64.sh PACKAGE.deb; 1 if anything was not as it should be.
# Everything is made under the target directory; kernel sources are unpacked at run time.
set -euo pipefail
cd "$(dirname "$0")/../.."
package=$(realpath "$1")
target=$(realpath "${CARGO_TARGET_DIR:-target}")
rig=$target/rig
begun=$SECONDS
stage() { echo "[$((SECONDS - begun)) s] $*"; }
for tool in mmdebstrap qemu-system-x86_64 prometheus qrencode gcc-12 cpio dpkg-deb; do
    command -v $tool >/dev/null || { echo "SKIPPED: the rig needs $tool (sh .ci/setup rig)" >&2; exit 1; }
done
mkdir -p "$rig/deb"

if [ ! -e "$rig/kernel.complete" ]; then
    stage "kernel, headers, sources of two modules"
    image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)/\1/p')
    headers=${image/image/headers}
    common=$(apt-cache depends "$headers" | sed -n 's/.*Depends: \(linux-headers-[^ ]*-common\)/\1/p')
    kbuild=$(apt-cache depends "$headers" | sed -n 's/.*Depends: \(linux-kbuild-[^ ]*\)/\1/p')
    (cd "$rig/deb" && apt-get download -qq -o APT::Sandbox::User=root "$image" "$headers" "$common" "$kbuild" linux-source-6.1 v4l2loopback-dkms)
    rm -rf "$rig/kernel"
    for deb in "$rig"/deb/linux-{image,headers,kbuild}-*.deb "$rig"/deb/v4l2loopback*.deb; do dpkg-deb -x "$deb" "$rig/kernel"; done
    mkdir -p "$rig/module"
    dpkg-deb --fsys-tarfile "$rig"/deb/linux-source-*.deb | tar -xO --wildcards '*/linux-source-*.tar.xz' | xz -dc |
        tar -C "$rig/module" -x --strip-components=3 --wildcards '*/drivers/gpio/gpio-sim.c' '*/drivers/gpio/gpiolib.h' '*/kernel/irq/irq_sim.c'
    find "$rig/module" -mindepth 2 -name '*.[ch]' -exec mv {} "$rig/module" \;
    cp "$rig"/kernel/usr/src/v4l2loopback-*/*.[ch] "$rig/module"
    # The kernel exports neither these three functions nor irq_to_desc; gpio-sim brings its own.
    sed -i 's/irq_to_desc(irqnum)/irq_data_to_desc(irq_get_irq_data(irqnum))/' "$rig/module/irq_sim.c"
    for function in irq_domain_create_sim devm_irq_domain_create_sim irq_domain_remove_sim; do
        sed -i "1i #define $function rig_$function" "$rig/module/irq_sim.c" "$rig/module/gpio-sim.c"
    done
    printf 'obj-m := gpio-simulated.o v4l2loopback.o\ngpio-simulated-y := gpio-sim.o irq_sim.o\n' >"$rig/module/Makefile"
    build=$(echo "$rig"/kernel/usr/src/linux-headers-*-amd64)
    sed -i "s#include /usr/src#include $rig/kernel/usr/src#" "$build/Makefile"
    make -s -C "$build" M="$rig/module" modules 2>&1 | grep -v BTF || true
    test -e "$rig/module/gpio-simulated.ko" && test -e "$rig/module/v4l2loopback.ko"
    rm -rf "$rig/deb"
    touch "$rig/kernel.complete"
fi

stage "root, packages of three versions, pictures"
rm -rf "$rig/root" && mkdir -p "$rig/root"
base=$rig/base.tar
[ -e "$base" ] || {
    mmdebstrap --quiet --format=tar --variant=minbase --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --include=systemd,systemd-sysv,udev,kmod,dbus,libgcc-s1,procps bookworm "$base.new"
    mv "$base.new" "$base"
}
tar -C "$rig/root" -xf "$base" --exclude='./dev/*' --exclude='./var/cache/*' --exclude='./var/lib/apt/*'
modules=$(basename "$rig"/kernel/lib/modules/*)
[ -e "$rig/kernel/lib/modules/$modules/modules.dep" ] || depmod -b "$rig/kernel" "$modules"
for module in configfs libcomposite dummy_hcd usb_f_acm cdc_acm videodev udc-core virtio_pci virtio_net usbserial usbcore usb-common u_serial; do
    modprobe -d "$rig/kernel" -S "$modules" --show-depends "$module" 2>/dev/null | awk '/^insmod/{print $2}' || true
done | sort -u | while read -r file; do install -D -m 644 "$file" "$rig/root/lib/modules/$modules/${file#*"/$modules/"}"; done
cp "$rig/kernel/lib/modules/$modules"/modules.{builtin,order} "$rig/root/lib/modules/$modules/"
depmod -b "$rig/root" "$modules"
inside=$rig/root/rig
mkdir "$inside"
cp "$package" "$inside/"
cp tests/rig/guest.sh hardware/commissioning.md "$rig"/module/*.ko "$inside"
# The base system leaves documents away; the package's examples are used.
rm -f "$rig"/root/etc/dpkg/dpkg.cfg.d/*
mkdir -p "$rig"/root/var/lib/apt/lists/partial "$rig"/root/var/cache/apt/archives/partial
gcc -static -O2 -Wall -o "$inside/player" tests/rig/player.c
version() { # version NAME COMMAND: the package under a later version, with something changed by COMMAND
    rm -rf "$rig/next"
    dpkg-deb -R "$package" "$rig/next"
    sed -i "s/^Version: .*/&+$1/" "$rig/next/DEBIAN/control"
    (cd "$rig/next" && eval "$2")
    dpkg-deb -Zgzip -z1 --root-owner-group --build "$rig/next" "$inside/$1.deb" >/dev/null
    rm -rf "$rig/next"
}
version two true
version never 'printf "#!/bin/sh\n[ \"\$1\" = run ] && exec sleep infinity\nexit 0\n" >usr/bin/turnstiled'
python3 tests/rig/picture.py HC:CAMERA >"$inside/code.grey"
python3 tests/rig/picture.py >"$inside/empty.grey"
cat >"$rig/root/etc/systemd/system/rig.service" <<'UNIT'
[Unit]
After=multi-user.target dbus.service systemd-udevd.service
[Service]
Type=oneshot
ExecStart=/bin/bash /rig/guest.sh
StandardOutput=file:/dev/ttyS0
StandardError=file:/dev/ttyS0
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$rig/root/etc/systemd/system/multi-user.target.wants"
ln -sf /etc/systemd/system/rig.service "$rig/root/etc/systemd/system/multi-user.target.wants/rig.service"
ln -sf /dev/null "$rig/root/etc/systemd/system/serial-getty@ttyS0.service"
ln -sf /lib/systemd/system/multi-user.target "$rig/root/etc/systemd/system/default.target"
ln -sf /lib/systemd/systemd "$rig/root/init"
(cd "$rig/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$rig/root.gz"
rm -rf "$rig/root"

# Prometheus out here scrapes the gate in there.
read -r gate_port prometheus_port < <(python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in held))')
rm -rf "$rig/prometheus"
cat >"$rig/prometheus.yml" <<YML
global: { scrape_interval: 2s, scrape_timeout: 2s }
scrape_configs: [{ job_name: gate, static_configs: [{ targets: ["127.0.0.1:$gate_port"] }] }]
YML
prometheus --config.file="$rig/prometheus.yml" --storage.tsdb.path="$rig/prometheus" --log.level=error \
    --web.listen-address="127.0.0.1:$prometheus_port" &
prometheus=$!
trap 'kill $prometheus 2>/dev/null || true' EXIT

stage "boot"
limit=${RIG_SECONDS:-900}
console=$rig/console.log
timeout "$limit" qemu-system-x86_64 -machine q35,accel=tcg -cpu max -smp 2 -m 2048 -display none -no-reboot -nodefaults -serial "file:$console" \
    -nic "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:$gate_port-:9464" \
    -kernel "$rig"/kernel/boot/vmlinuz-* -initrd "$rig/root.gz" \
    -append "console=ttyS0 quiet loglevel=3 systemd.show_status=0 panic=-1 systemd.journald.max_level_console=err" || true
tr -d '\r' <"$console" | sed -n '/^RIG BEGIN/,/^RIG DONE/p' | sed '/^METRICS BEGIN/,/^METRICS END/d'
stage "done"
scraped() { # scraped WORDS QUERY: at least one series of it, over the life of the gate
    if python3 -c '
import json, sys, urllib.parse, urllib.request
url = f"http://127.0.0.1:{sys.argv[1]}/api/v1/query?" + urllib.parse.urlencode({"query": sys.argv[2]})
sys.exit(not json.load(urllib.request.urlopen(url, timeout=30))["data"]["result"])' "$prometheus_port" "$2"; then
        echo "ok    $1" | tee -a "$console"
    else
        echo "WRONG $1" | tee -a "$console"
    fi
}
scraped "Prometheus scraped the gate" 'max_over_time(up{job="gate"}[1h]) == 1'
scraped "and saw the scanner go and come back" 'changes(turnstile_device_up{device="lane1-entry-scanner"}[1h]) >= 2'
scraped "and what was granted and held" 'max_over_time(turnstile_presentations_total{result="red_code"}[1h]) > 0'
kill $prometheus
sed 's/\r$//' "$console" | sed -n '/^METRICS BEGIN/,/^METRICS END/p' | grep -v '^METRICS' >"$rig/metrics" || true
if command -v promtool >/dev/null && [ -s "$rig/metrics" ]; then
    if promtool check metrics <"$rig/metrics" >/dev/null; then echo "ok    Prometheus' own tool takes the metrics"; else
        echo "WRONG Prometheus' own tool does not take the metrics"
        exit 1
    fi
fi
grep -q '^RIG DONE' "$console" || { echo "WRONG the rig did not come to its end within $limit s: $console"; exit 1; }
if grep -q '^WRONG' "$console"; then echo "the rig saw something WRONG"; exit 1; fi
grep -c '^ok' "$console" | sed 's/$/ passed, 0 failed/'
