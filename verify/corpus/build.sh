#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Compiles all programs of src/ with gcc and clang at -O0, -O2 and -Os into
# one bare-metal image each (elf/), and natively, where they are run:
# expected.txt has what they computed. `sources` is the digest of all sources.
# It needs gcc, clang and binutils, and an x86-64 host.
set -eu
export LC_ALL=C # the order of files is part of the result

cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# -fwrapv: signed overflow wraps, so that every compiler means the same. No red
# zone: inline assembly pushes.
common="-std=gnu11 -Isrc -Wall -Wextra -Werror -Wno-maybe-uninitialized
	-Wno-unknown-warning-option -fwrapv -fno-strict-aliasing -mno-red-zone"
bare="$common -ffreestanding -fno-builtin -fno-pic -fno-pie -mgeneral-regs-only
	-march=x86-64 -fcf-protection=none -fno-stack-protector -fno-asynchronous-unwind-tables
	-fno-common -fno-ident"

# Natively, with two compilers and with undefined behaviour trapped: all agree.
for cc in gcc clang; do
	for opt in -O1 -O3 "-O1 -fsanitize=undefined -fno-sanitize-recover"; do
		# shellcheck disable=SC2086
		$cc $common $opt -o "$tmp/native" src/*.c run/native.c
		"$tmp/native" | sort >"$tmp/results"
		if [ -e "$tmp/expected" ]; then
			cmp "$tmp/expected" "$tmp/results"
		else
			mv "$tmp/results" "$tmp/expected"
		fi
	done
done
cp "$tmp/expected" expected.txt

mkdir -p elf
for cc in gcc clang; do
	for opt in O0 O2 Os; do
		mkdir "$tmp/$cc-$opt"
		for src in src/*.c run/bare.c run/start.S; do
			obj=$tmp/$cc-$opt/$(basename "$src").o
			# shellcheck disable=SC2086
			$cc $bare "-$opt" -c "$src" -o "$obj"
		done
		# Loops that copy memory are not to become calls of themselves.
		loops=
		[ $cc = gcc ] && loops=-fno-tree-loop-distribute-patterns
		# shellcheck disable=SC2086
		$cc $bare "-$opt" $loops -c run/runtime.c -o "$tmp/$cc-$opt/runtime.o"
		ld -nostdlib -static --build-id=none -z max-page-size=4096 -z noexecstack \
			--no-warn-rwx-segments --strip-all -T run/bare.lds \
			-o "elf/$cc-$opt.elf" "$tmp/$cc-$opt"/*.o
	done
done

# For each source in order of its path: path, NUL, contents, NUL.
for f in build.sh run/* src/*; do
	printf '%s\0' "$f"
	cat "$f"
	printf '\0'
done | sha256sum | cut -d ' ' -f 1 >sources
