#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Builds guest.elf and guest.elf.sources (digest of all sources) in this
# directory, with gcc or, by CC=clang, with clang. OUT=DIR puts them elsewhere.
set -eu
export LC_ALL=C # the order of files is part of the result

cd "$(dirname "$0")"
here=$(pwd)
cc=${CC:-gcc}
out=${OUT:-.}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cflags="-std=gnu11 -O2 -g -Wall -Wextra -Werror -Iinclude
	-ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only
	-march=x86-64 -fcf-protection=none -fno-stack-protector -fno-asynchronous-unwind-tables
	-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fno-optimize-sibling-calls
	-fno-strict-aliasing -fno-strict-overflow -fno-common -fno-ident
	-ffile-prefix-map=$here=."
case $("$cc" --version | head -n 1) in
*clang*)
	cflags="$cflags -mllvm -enable-shrink-wrap=false"
	gcc=
	;;
*)
	# Keep every static function under its own name, and its frame from the
	# first instruction to the last. gcc drops the frame of functions that
	# call nothing unless they are profiled: -pg, whose calls are taken out
	# of the assembly below.
	gcc=1
	cflags="$cflags -pg -fno-shrink-wrap -fno-schedule-insns2 -fno-ipa-sra -fno-ipa-cp -fno-ipa-icf
		-fno-partial-inlining -fno-reorder-functions -fno-reorder-blocks-and-partition
		-fno-var-tracking -fno-tree-loop-distribute-patterns
		-fno-inline-functions-called-once"
	;;
esac

for src in *.c; do
	obj=$tmp/${src%.c}
	# shellcheck disable=SC2086
	if [ "$gcc" ]; then
		"$cc" $cflags -S "$src" -o "$obj.s"
		sed -i '/call[[:space:]]*mcount/d' "$obj.s"
		"$cc" -c "$obj.s" -o "$obj.o"
	else
		"$cc" $cflags -c "$src" -o "$obj.o"
	fi
done
for src in *.S; do
	"$cc" -Iinclude "-ffile-prefix-map=$here=." -c "$src" -o "$tmp/${src%.S}.o"
done
(cd "$tmp" && "${LD:-ld}" -nostdlib -static --build-id=none -z max-page-size=4096 \
	-z noexecstack --no-warn-rwx-segments -T "$here/guest.lds" -o guest.elf ./*.o)
mkdir -p "$out"
cp "$tmp/guest.elf" "$out/guest.elf"

# For each source in order of its path: path, NUL, contents, NUL.
find . -type f \( -name '*.c' -o -name '*.h' -o -name '*.S' -o -name '*.lds' -o -name build.sh \) |
	sed 's|^\./||' | sort |
	while read -r f; do
		printf '%s\0' "$f"
		cat "$f"
		printf '\0'
	done | sha256sum | cut -d ' ' -f 1 >"$out/guest.elf.sources"
