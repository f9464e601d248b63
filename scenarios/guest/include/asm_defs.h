/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Constants shared by C and assembly: selectors, vectors, MSRs, frame offsets. */
#ifndef GUEST_ASM_DEFS_H
#define GUEST_ASM_DEFS_H

/* GDT selectors; syscall/sysret fix their order. */
#define __KERNEL_CS 0x10
#define __KERNEL_DS 0x18
#define __USER32_CS 0x23
#define __USER_DS 0x2b
#define __USER_CS 0x33
#define GDT_ENTRY_TSS 8
#define GDT_ENTRIES 16

/* Interrupt stack table slots (1-based, as an IDT gate counts them). */
#define DOUBLEFAULT_STACK 2
#define NMI_STACK 3

#define THREAD_SIZE 8192
#define IRQ_STACK_SIZE 16384
#define EXCEPTION_STKSZ 4096

/* Vectors, reference section 8.1. */
#define NMI_VECTOR 0x02
#define FIRST_DEVICE_VECTOR 0x20
#define LOCAL_TIMER_VECTOR 0xef
#define INVALIDATE_TLB_VECTOR_START 0xf0
#define NUM_INVALIDATE_TLB_VECTORS 8
#define REBOOT_VECTOR 0xf8
#define CALL_FUNCTION_SINGLE_VECTOR 0xfb
#define CALL_FUNCTION_VECTOR 0xfc
#define RESCHEDULE_VECTOR 0xfd
#define ERROR_APIC_VECTOR 0xfe
#define SPURIOUS_APIC_VECTOR 0xff

#define MSR_IA32_APICBASE 0x1b
#define MSR_FIXED_CTR1 0x30a
#define MSR_FIXED_CTR_CTRL 0x38d
#define MSR_PERF_GLOBAL_STATUS 0x38e
#define MSR_PERF_GLOBAL_CTRL 0x38f
#define MSR_PERF_GLOBAL_OVF_CTRL 0x390
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SYSCALL_MASK 0xc0000084
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_K7_EVNTSEL0 0xc0010000
#define MSR_K7_PERFCTR0 0xc0010004

#define X86_EFLAGS_TF 0x100
#define X86_EFLAGS_IF 0x200
#define X86_EFLAGS_DF 0x400
#define X86_EFLAGS_IOPL 0x3000

/* struct percpu, fields used by assembly (checked in percpu.h). */
#define PC_OLD_RSP 0
#define PC_KERNEL_STACK 8
#define PC_IRQ_STACK_PTR 16
#define PC_IRQ_COUNT 24

/* struct thread_info, fields used by assembly (checked in sched.h). */
#define TI_FLAGS 16
#define TIF_SIGPENDING 2
#define TIF_NEED_RESCHED 3
#define _TIF_SIGPENDING (1 << TIF_SIGPENDING)
#define _TIF_NEED_RESCHED (1 << TIF_NEED_RESCHED)
#define _TIF_WORK_MASK (_TIF_SIGPENDING | _TIF_NEED_RESCHED)

/* struct pt_regs (checked in ptrace.h). */
#define R_R11 48
#define R_RCX 88
#define R_ORIG_RAX 120
#define R_RIP 128
#define R_CS 136
#define R_RFLAGS 144
#define R_RSP 152
#define R_SIZE 168

/* struct task_struct, thread.sp (checked in sched.h). */
#define TASK_THREAD_SP 32

/* System calls beyond this number go by the second table. */
#define NR_SYSCALL_MAX 255
#define LATCHUP_SYSCALL_BASE 0x1000
#define NR_LATCHUP_SYSCALLS 3

#endif
