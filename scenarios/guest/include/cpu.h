/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Per-CPU tables that the processor itself reads. */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "asm_defs.h"
#include "types.h"

struct tss_struct {
	u32 reserved0;
	u64 sp0, sp1, sp2;
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 io_bitmap_base;
} __attribute__((packed));

_Static_assert(sizeof(struct tss_struct) == 104, "layout");

extern struct tss_struct init_tss[];
extern char nmi_stack[][EXCEPTION_STKSZ];
extern char double_fault_stack[][EXCEPTION_STKSZ];
extern char irq_stack[][IRQ_STACK_SIZE];
extern char idle_stack[][THREAD_SIZE];

void percpu_init(unsigned int cpu);
void cpu_init(unsigned int cpu);

#endif
