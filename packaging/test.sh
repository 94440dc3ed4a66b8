#!/usr/bin/env bash
# Tries a package in a clean Debian root, made by mmdebstrap: lintian, install, upgrade with a changed config, remove, purge.
# packaging/test.sh PACKAGE.deb. Says what it saw line by line; 1 if anything is not as it should be. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
package=$(realpath "$1")
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/deb"
for tool in mmdebstrap lintian; do
    command -v $tool >/dev/null || { echo "packaging/test.sh needs the Debian package $tool" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
saw() { # saw WORDS COMMAND...
    local words=$1
    shift
    if "$@" >"$work/said" 2>&1; then echo "ok    $words"; else
        echo "WRONG $words"
        sed 's/^/      /' "$work/said"
        failed=1
    fi
}
root=$work/root
in_root() { unshare --mount --pid --fork --root="$root" --mount-proc env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
not() { ! "$@"; }

saw "lintian has no error and no warning" lintian --fail-on error,warning --allow-root "$package"
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
base=$target/deb/root-$suite.tar
[ -e "$base" ] || mmdebstrap --quiet --format=tar --variant=minbase --include=systemd,systemd-sysv,udev,kmod,dbus,libgcc-s1 "$suite" "$base.new"
[ -e "$base" ] || mv "$base.new" "$base"
mkdir "$root" && tar -C "$root" -xf "$base" --exclude='./dev/*'
cp "$package" "$root/tmp/one.deb"
# The same package under a later version, as an upgrade would be.
dpkg-deb -R "$package" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
echo '# A comment of the next version.' >>"$work/next/etc/turnstiled/trust.toml"
dpkg-deb --root-owner-group --build "$work/next" "$root/tmp/two.deb" >/dev/null

saw "it installs on a clean Debian" in_root dpkg -i /tmp/one.deb
saw "the program runs there" in_root turnstiled --version
saw "the account turnstiled is there, without a shell" in_root sh -c 'getent passwd turnstiled | grep -q nologin'
saw "it may use readers, cameras and lines" in_root sh -c 'id -Gn turnstiled | grep -w dialout | grep -w video | grep -qw gpio'
saw "nobody else may look into /etc/turnstiled" in_root sh -c '[ "$(stat -c "%a %U %G" /etc/turnstiled)" = "750 root turnstiled" ]'
saw "systemd finds no fault in the units" in_root systemd-analyze verify --man=no turnstiled.service turnstiled-backend.service turnstiled-settle.service
saw "the sandbox is tight (2.0 at most)" in_root systemd-analyze security --offline=true --threshold=20 turnstiled.service turnstiled-backend.service
saw "every file is as packaged" in_root dpkg --verify turnstiled
saw "there are a man page, completions, alert rules and a dashboard" in_root sh -c 'test -s /usr/share/man/man1/turnstiled.1.gz -a -s /usr/share/bash-completion/completions/turnstiled -a -s /usr/share/doc/turnstiled/examples/alerts.yml -a -s /usr/share/doc/turnstiled/examples/dashboard.json'
saw "each drawing's config passes check" in_root sh -c 'cd /usr/share/doc/turnstiled/examples; for f in lane-*.toml; do [ ! -e "$f" ] || turnstiled check "$f" || exit 1; done'
in_root sh -c 'cp /etc/turnstiled/gate.toml.example /etc/turnstiled/gate.toml; echo "# of this site" >>/etc/turnstiled/trust.toml; echo kept >/var/lib/turnstiled/journal' 2>/dev/null ||
    in_root sh -c 'mkdir -p /var/lib/turnstiled; echo kept >/var/lib/turnstiled/journal'
before=$(md5sum <"$root/usr/bin/turnstiled")
saw "it upgrades" in_root dpkg --force-confdef --force-confold -i /tmp/two.deb
saw "a changed config file is kept" grep -q 'of this site' "$root/etc/turnstiled/trust.toml"
saw "the gate's own config is kept" test -s "$root/etc/turnstiled/gate.toml"
saw "the binary before the upgrade is kept" sh -c "[ \"\$(md5sum <'$root/var/lib/turnstiled-versions/previous')\" = '$before' ]"
saw "it is removed" in_root dpkg -r turnstiled
saw "config and journal outlive that" test -s "$root/etc/turnstiled/gate.toml" -a -s "$root/var/lib/turnstiled/journal"
saw "the program is gone" not test -e "$root/usr/bin/turnstiled"
saw "it is installed again over what was kept" in_root dpkg --force-confold -i /tmp/two.deb
saw "it is purged" in_root dpkg -P turnstiled
saw "nothing of it is left" not sh -c "find '$root/etc' '$root/var/lib' '$root/usr' '$root/lib' -path '*turnstile*' -not -path '*/dpkg/*' -not -path '*/systemd/deb-systemd-helper*' | grep ."
echo "$([ $failed = 0 ] && echo 'the package is good' || echo 'the package is NOT good')"
exit $failed
