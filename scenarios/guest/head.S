/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * First instructions of every CPU. The loader enters here on all CPUs at
 * once: RDI = CPU number, 64-bit mode, IF=0, flat segments without a GDT.
 */
#include "asm_defs.h"

	.section .head.text, "ax"
	.globl startup_64
	.type startup_64, @function
startup_64:
	cld
	movl %edi, %edi
	/* The idle task's stack: one slot of idle_stack for each CPU. */
	leaq 1(%rdi), %rax
	shlq $13, %rax
	leaq idle_stack(%rip), %rsp
	addq %rax, %rsp
	xorl %ebp, %ebp
	pushq $0
	call start_kernel
1:	hlt
	jmp 1b
	.size startup_64, . - startup_64

	.section .note.GNU-stack, "", @progbits
