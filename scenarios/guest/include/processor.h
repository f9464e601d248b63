/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Instructions that C has no words for. */
#ifndef GUEST_PROCESSOR_H
#define GUEST_PROCESSOR_H

#include "asm_defs.h"
#include "bitops.h"

static inline void local_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void local_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline unsigned long local_save_flags(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

static inline unsigned long local_irq_save(void)
{
	unsigned long flags = local_save_flags();

	local_irq_disable();
	return flags;
}

static inline void local_irq_restore(unsigned long flags)
{
	__asm__ volatile("pushq %0; popfq" : : "g"(flags) : "memory", "cc");
}

static inline bool irqs_disabled(void)
{
	return !(local_save_flags() & X86_EFLAGS_IF);
}

/* Interrupts are recognised only after hlt has begun: sti shadows it. */
static inline void safe_halt(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

static inline void halt(void)
{
	__asm__ volatile("hlt" ::: "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return ((u64)hi << 32) | lo;
}

static inline u64 rdmsrl(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return ((u64)hi << 32) | lo;
}

static inline void wrmsrl(u32 msr, u64 val)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

/* CPUID function 0 names the vendor; EBX holds the first four letters. */
static inline bool cpu_vendor_amd(void)
{
	u32 eax = 0, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx == 0x68747541; /* "Auth" */
}

static inline void outb(u8 val, u16 port)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port));
}

static inline unsigned long read_cr2(void)
{
	unsigned long v;

	__asm__ volatile("movq %%cr2, %0" : "=r"(v));
	return v;
}

static inline unsigned long read_cr3(void)
{
	unsigned long v;

	__asm__ volatile("movq %%cr3, %0" : "=r"(v));
	return v;
}

static inline void write_cr3(unsigned long v)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(v) : "memory");
}

static inline void __flush_tlb_one(unsigned long addr)
{
	__asm__ volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

static inline void __monitor(const void *addr)
{
	__asm__ volatile("monitor" : : "a"(addr), "c"(0ul), "d"(0ul));
}

/* As safe_halt(), but a store to the monitored line also ends the wait. */
static inline void __sti_mwait(void)
{
	__asm__ volatile("sti; mwait" : : "a"(0ul), "c"(0ul) : "memory");
}

static inline void clflush(const volatile void *p)
{
	__asm__ volatile("clflush %0" : : "m"(*(const volatile char *)p));
}

static inline u32 readl(const volatile void *addr)
{
	return *(const volatile u32 *)addr;
}

static inline void writel(u32 v, volatile void *addr)
{
	__asm__ volatile("movl %0, %1" : : "r"(v), "m"(*(volatile u32 *)addr) : "memory");
}

#endif
