/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Entry and exit paths. Every stub saves a complete struct pt_regs and then
 * sets RBP to its address with bit 0 set; the saved RBP of the first C frame
 * therefore marks the spot for whoever walks the frames.
 */
#include "asm_defs.h"

#define ENTRY(name) .globl name; .type name, @function; .balign 16; name:
#define END(name) .size name, . - name

/* Below orig_rax, in the order of struct pt_regs. */
.macro SAVE_REST_OF_REGS
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %rax
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	leaq 1(%rsp), %rbp
.endm

.macro RESTORE_REGS
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
.endm

/* Leaves the C handler's argument in RDI and the old stack linked at (%rsp). */
.macro ENTER_IRQ_STACK
	movq %rsp, %rdi
	movq %rsp, %rsi
	incl %gs:PC_IRQ_COUNT
	cmoveq %gs:PC_IRQ_STACK_PTR, %rsp
	pushq %rsi
.endm

	.text

/* One 16-byte stub for each device vector; all meet in common_interrupt. */
	.balign 16
	.globl irq_entries_start
	.type irq_entries_start, @function
irq_entries_start:
.Lvector = FIRST_DEVICE_VECTOR
.rept 256 - FIRST_DEVICE_VECTOR
	.balign 16
	pushq $~.Lvector
	jmp common_interrupt
.Lvector = .Lvector + 1
.endr
	.size irq_entries_start, . - irq_entries_start

ENTRY(common_interrupt)
	cld
	SAVE_REST_OF_REGS
	testb $3, R_CS(%rsp)
	je 1f
	swapgs
1:	ENTER_IRQ_STACK
	call do_IRQ
	cli
	jmp ret_from_intr
END(common_interrupt)

ENTRY(ret_from_intr)
	decl %gs:PC_IRQ_COUNT
	movq (%rsp), %rsp
.Lexit_intr:
	testb $3, R_CS(%rsp)
	je .Lrestore_args
.Lretint_check:
	/* IF=0, on the task's own stack, which holds its thread_info. */
	movq %rsp, %rcx
	andq $~(THREAD_SIZE - 1), %rcx
	testl $_TIF_WORK_MASK, TI_FLAGS(%rcx)
	jne .Lretint_careful
	swapgs
.Lrestore_args:
	RESTORE_REGS
	addq $8, %rsp
.Lirq_return:
	iretq
.Lretint_careful:
	sti
	movq %rsp, %rdi
	call do_notify_resume
	cli
	jmp .Lretint_check
END(ret_from_intr)

.macro apicinterrupt num, sym, handler
ENTRY(\sym)
	pushq $~(\num)
	cld
	SAVE_REST_OF_REGS
	testb $3, R_CS(%rsp)
	je 1f
	swapgs
1:	ENTER_IRQ_STACK
	call \handler
	cli
	jmp ret_from_intr
END(\sym)
.endm

apicinterrupt LOCAL_TIMER_VECTOR, apic_timer_interrupt, smp_apic_timer_interrupt
apicinterrupt RESCHEDULE_VECTOR, reschedule_interrupt, smp_reschedule_interrupt
apicinterrupt CALL_FUNCTION_VECTOR, call_function_interrupt, smp_call_function_interrupt
apicinterrupt CALL_FUNCTION_SINGLE_VECTOR, call_function_single_interrupt, \
	smp_call_function_single_interrupt
apicinterrupt REBOOT_VECTOR, reboot_interrupt, smp_reboot_interrupt
apicinterrupt ERROR_APIC_VECTOR, error_interrupt, smp_error_interrupt
apicinterrupt SPURIOUS_APIC_VECTOR, spurious_interrupt, smp_spurious_interrupt
apicinterrupt 0xf0, invalidate_interrupt0, smp_invalidate_interrupt
apicinterrupt 0xf1, invalidate_interrupt1, smp_invalidate_interrupt
apicinterrupt 0xf2, invalidate_interrupt2, smp_invalidate_interrupt
apicinterrupt 0xf3, invalidate_interrupt3, smp_invalidate_interrupt
apicinterrupt 0xf4, invalidate_interrupt4, smp_invalidate_interrupt
apicinterrupt 0xf5, invalidate_interrupt5, smp_invalidate_interrupt
apicinterrupt 0xf6, invalidate_interrupt6, smp_invalidate_interrupt
apicinterrupt 0xf7, invalidate_interrupt7, smp_invalidate_interrupt

/* Exceptions: handler(regs, error_code), on the stack of whoever faulted. */
.macro exception sym, handler, has_error=0
ENTRY(\sym)
	.if \has_error == 0
	pushq $-1
	.endif
	cld
	SAVE_REST_OF_REGS
	testb $3, R_CS(%rsp)
	je 1f
	swapgs
1:	movq %rsp, %rdi
	movq R_ORIG_RAX(%rsp), %rsi
	movq $-1, R_ORIG_RAX(%rsp)
	call \handler
	cli
	jmp .Lexit_intr
END(\sym)
.endm

exception divide_error, do_divide_error
exception debug, do_debug
exception int3, do_int3
exception overflow, do_overflow
exception bounds, do_bounds
exception invalid_op, do_invalid_op
exception device_not_available, do_device_not_available
exception segment_not_present, do_segment_not_present, 1
exception stack_segment, do_stack_segment, 1
exception general_protection, do_general_protection, 1
exception page_fault, do_page_fault, 1
exception alignment_check, do_alignment_check, 1

/*
 * Handlers on interrupt stacks of their own may have interrupted the few
 * instructions around swapgs: only the sign of the GS base tells.
 */
.macro save_paranoid
	cld
	SAVE_REST_OF_REGS
	movl $1, %ebx
	movl $MSR_GS_BASE, %ecx
	rdmsr
	testl %edx, %edx
	js 1f
	swapgs
	xorl %ebx, %ebx
1:	movq %rsp, %rdi
.endm

ENTRY(nmi)
	pushq $-1
	save_paranoid
	movq $-1, %rsi
	call do_nmi
	jmp paranoid_exit
END(nmi)

ENTRY(double_fault)
	save_paranoid
	movq R_ORIG_RAX(%rsp), %rsi
	call do_double_fault
	jmp paranoid_exit
END(double_fault)

ENTRY(paranoid_exit)
	testl %ebx, %ebx
	jne 1f
	swapgs
1:	RESTORE_REGS
	addq $8, %rsp
	iretq
END(paranoid_exit)

/*
 * syscall: RCX holds the return address, R11 the flags, IF is off. The saved
 * context lies at the very top of the kernel stack.
 */
ENTRY(system_call)
	swapgs
	movq %rsp, %gs:PC_OLD_RSP
	movq %gs:PC_KERNEL_STACK, %rsp
	pushq $__USER_DS
	pushq %gs:PC_OLD_RSP
	pushq %r11
	pushq $__USER_CS
	pushq %rcx
	pushq %rax
	SAVE_REST_OF_REGS
	sti
	jmp system_call_fastpath
END(system_call)

ENTRY(system_call_fastpath)
	cmpq $NR_SYSCALL_MAX, %rax
	ja .Lsystem_call_extra
	movq %r10, %rcx
	call *sys_call_table(,%rax,8)
.Lret_from_sys_call:
	movq %rax, 80(%rsp)
	cli
	movq %rsp, %rcx
	andq $~(THREAD_SIZE - 1), %rcx
	testl $_TIF_WORK_MASK, TI_FLAGS(%rcx)
	jne .Lsysret_careful
	RESTORE_REGS
	movq R_RIP - R_ORIG_RAX(%rsp), %rcx
	movq R_RFLAGS - R_ORIG_RAX(%rsp), %r11
	movq R_RSP - R_ORIG_RAX(%rsp), %rsp
	swapgs
	sysretq
.Lsystem_call_extra:
	subq $LATCHUP_SYSCALL_BASE, %rax
	cmpq $NR_LATCHUP_SYSCALLS, %rax
	jae .Lsystem_call_bad
	call *latchup_call_table(,%rax,8)
	jmp .Lret_from_sys_call
.Lsystem_call_bad:
	call sys_ni_syscall
	jmp .Lret_from_sys_call
.Lsysret_careful:
	sti
	movq %rsp, %rdi
	call do_notify_resume
	cli
	jmp .Lretint_check
END(system_call_fastpath)

/*
 * RDI = prev, RSI = next; returns prev, on the stack of next. What is pushed
 * is struct inactive_task_frame.
 */
ENTRY(__switch_to_asm)
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, TASK_THREAD_SP(%rdi)
	movq TASK_THREAD_SP(%rsi), %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	jmp __switch_to
END(__switch_to_asm)

/*
 * First instructions of a new task: RAX = prev, RBX = kernel function or 0,
 * R12 = its argument. A user task's context lies at the top of the stack.
 */
ENTRY(ret_from_fork)
	movq %rax, %rdi
	call schedule_tail
	testq %rbx, %rbx
	je 1f
	movq %r12, %rdi
	call *%rbx
	xorl %edi, %edi
	call do_exit
1:	cli
	jmp .Lretint_check
END(ret_from_fork)

	.section .note.GNU-stack, "", @progbits
