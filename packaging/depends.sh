#!/bin/sh
# Which Debian packages a binary needs, for either architecture: from its libraries and the newest symbol of glibc in it.
set -eu
needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for library in $needed; do
    case $library in
    libc.so.6 | libm.so.6 | ld-linux-*) ;;
    libgcc_s.so.1) printf 'libgcc-s1, ' ;;
    *) echo "packaging/depends.sh: $1 needs $library, and nobody has said which package that is" >&2; exit 1 ;;
    esac
done
glibc=$(readelf -V "$1" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -1)
echo "libc6 (>= ${glibc:?a dynamic binary of glibc is expected})"
