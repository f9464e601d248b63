/* SPDX-License-Identifier: MIT OR Apache-2.0 */
	.section .text.start, "ax"
	.globl _start
_start:
	leaq	stack_top(%rip), %rsp
	call	run_all
1:	hlt
	jmp	1b

	.bss
	.balign	16
	.skip	65536
stack_top:
