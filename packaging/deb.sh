#!/usr/bin/env bash
# Makes target/deb/turnstiled_VERSION_ARCH.deb, without the feature `lab`: packaging/deb.sh [amd64|arm64]. Without an
# architecture: that of this machine. VERSION=1.2.3 makes a package of another version, to try an upgrade with.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$(dpkg --print-architecture)
arch=${1:-$here}
maintainer=${MAINTAINER:-turnstiled <turnstiled@localhost>}
target=${CARGO_TARGET_DIR:-target}
version=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)}

# The binary of this machine writes the man pages and completions, whatever machine the package is for.
[ -n "${BINARY:-}" ] || cargo build --release --locked --no-default-features ${JOBS:+-j "$JOBS"}
native=${BINARY:-$target/release/turnstiled}
binary=$native
strip="strip"
if [ "$arch" != "$here" ]; then
    [ "$arch" = arm64 ] || { echo "packaging/deb.sh: cannot build for $arch on $here; try arm64" >&2; exit 2; }
    packaging/cross.sh cargo build --release --locked --no-default-features ${JOBS:+-j "$JOBS"}
    binary=$target/aarch64-unknown-linux-gnu/release/turnstiled
    strip=aarch64-linux-gnu-strip
fi

root=$target/deb/$arch
rm -rf "$root"
put() { install -D -m "$1" "$2" "$root/$3"; }
put 755 "$binary" usr/bin/turnstiled
"$strip" --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/turnstiled"
put 755 packaging/settle usr/lib/turnstiled/settle
for unit in turnstiled turnstiled-backend turnstiled-display@ turnstiled-settle; do
    put 644 systemd/$unit.service lib/systemd/system/$unit.service
done
put 644 systemd/sysusers.conf usr/lib/sysusers.d/turnstiled.conf
put 644 systemd/tmpfiles.conf usr/lib/tmpfiles.d/turnstiled.conf
put 644 udev/70-turnstiled.rules lib/udev/rules.d/70-turnstiled.rules
put 644 hardware/example.toml etc/turnstiled/gate.toml.example
put 644 hardware/trust.toml etc/turnstiled/trust.toml
doc=usr/share/doc/turnstiled
for file in README.md hardware/*.md monitoring/metrics.md; do put 644 "$file" "$doc/$(basename "$file")"; done
for file in monitoring/alerts.yml monitoring/dashboard.json systemd/credentials.conf systemd/watchdog.conf \
    udev/71-turnstiled-names.rules hardware/*.toml; do
    put 644 "$file" "$doc/examples/$(basename "$file")"
done
for file in hardware/*.svg; do [ ! -e "$file" ] || put 644 "$file" "$doc/$(basename "$file")"; done
put 644 packaging/copyright "$doc/copyright"
put 644 packaging/lintian-overrides usr/share/lintian/overrides/turnstiled
# The date of the last commit, so that the same tree makes the same package.
epoch=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH=$epoch
printf 'turnstiled (%s) stable; urgency=medium\n\n  * Release %s. What changed: the history of the tree.\n\n -- %s  %s\n' \
    "$version" "$version" "$maintainer" "$(date -R -u -d "@$epoch")" | gzip -9n >"$root/$doc/changelog.gz"
find "$root/$doc" -maxdepth 1 \( -name '*.md' -o -name '*.svg' \) -size +4k -exec gzip -9n {} +
pages=$target/deb/pages
rm -rf "$pages"
"$native" pages "$pages"
install -d "$root/usr/share/man/man1"
for page in "$pages"/man/*.1; do gzip -9nc "$page" >"$root/usr/share/man/man1/$(basename "$page").gz"; done
put 644 "$pages/completions/turnstiled.bash" usr/share/bash-completion/completions/turnstiled
put 644 "$pages/completions/_turnstiled" usr/share/zsh/vendor-completions/_turnstiled
put 644 "$pages/completions/turnstiled.fish" usr/share/fish/vendor_completions.d/turnstiled.fish

install -d "$root/DEBIAN"
for script in preinst postinst prerm postrm; do put 755 "packaging/$script" "DEBIAN/$script"; done
(cd "$root" && find etc -type f | sed 's|^|/|') >"$root/DEBIAN/conffiles"
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' md5sum) >"$root/DEBIAN/md5sums"
cat >"$root/DEBIAN/control" <<CONTROL
Package: turnstiled
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $(packaging/depends.sh "$root/usr/bin/turnstiled"), systemd (>= 252), udev
Recommends: systemd-timesyncd | time-daemon
Suggests: cage, chromium, prometheus
Section: net
Priority: optional
Description: gate controller of a metro turnstile
 Reads QR codes and ID cards, decides from signed lists that it keeps itself,
 moves the barrier, watches the person pass and loses no passage record, with
 or without a network. The same program is the reference backend.
CONTROL
find "$root" -exec touch -h -d "@$epoch" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$target/deb/turnstiled_${version}_$arch.deb"
