#!/bin/sh
# Rebuilds programs.o. Any gcc or clang for x86-64 will do.
set -e
cd "$(dirname "$0")"
"${CC:-gcc}" -O2 -std=gnu11 -ffreestanding -fno-pic -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only -fno-omit-frame-pointer -fno-asynchronous-unwind-tables \
	-fcf-protection=none -fno-stack-protector -fcommon -c programs.c -o programs.o
