/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Per-CPU area, descriptor tables and model-specific registers of each CPU. */
#include "cpu.h"
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

struct percpu per_cpu_area[MAX_CPUS];
struct tss_struct init_tss[MAX_CPUS] __cacheline_aligned;
char nmi_stack[MAX_CPUS][EXCEPTION_STKSZ] __aligned(EXCEPTION_STKSZ);
char double_fault_stack[MAX_CPUS][EXCEPTION_STKSZ] __aligned(EXCEPTION_STKSZ);
char irq_stack[MAX_CPUS][IRQ_STACK_SIZE] __aligned(IRQ_STACK_SIZE);
char idle_stack[MAX_CPUS][THREAD_SIZE] __aligned(THREAD_SIZE);

static u64 gdt[MAX_CPUS][GDT_ENTRIES] __cacheline_aligned;

struct desc_ptr {
	u16 limit;
	u64 base;
} __attribute__((packed));

extern struct desc_ptr idt_descr; /* traps.c */
extern char system_call[];

/* What CPU 0 prepares for every CPU, before that CPU has a GS base. */
void percpu_init(unsigned int cpu)
{
	struct percpu *pc = cpu_data(cpu);
	struct task_struct *idle = idle_task(cpu);

	pc->self = pc;
	pc->cpu_number = cpu;
	pc->irq_count = -1;
	pc->irq_stack_ptr = (unsigned long)irq_stack[cpu] + IRQ_STACK_SIZE;
	pc->cpu_tlbstate.active_mm = &init_mm;
	pc->cpu_tlbstate.state = TLBSTATE_LAZY;
	sched_init_cpu(cpu, idle);
	pc->current_task = idle;
	pc->kernel_stack = idle->thread.sp0;
	hrtimers_init_cpu(cpu);
	init_timers_cpu(cpu);
	smp_call_init_cpu(cpu);
	INIT_LIST_HEAD(&pc->start_list);
}

static void gdt_setup(unsigned int cpu)
{
	u64 *g = gdt[cpu];
	u64 base = (u64)&init_tss[cpu];
	u64 limit = sizeof(struct tss_struct) - 1;
	struct desc_ptr dp = { GDT_ENTRIES * 8 - 1, (u64)g };

	g[__KERNEL_CS >> 3] = 0x00af9b000000ffffull;
	g[__KERNEL_DS >> 3] = 0x00cf93000000ffffull;
	g[__USER32_CS >> 3] = 0x00cffb000000ffffull;
	g[__USER_DS >> 3] = 0x00cff3000000ffffull;
	g[__USER_CS >> 3] = 0x00affb000000ffffull;
	g[GDT_ENTRY_TSS] = limit | ((base & 0xffffff) << 16) | (0x89ull << 40) |
			   ((base >> 24 & 0xff) << 56);
	g[GDT_ENTRY_TSS + 1] = base >> 32;
	__asm__ volatile("lgdt %0" : : "m"(dp));
	__asm__ volatile("ltr %w0" : : "r"(GDT_ENTRY_TSS * 8));
}

void cpu_init(unsigned int cpu)
{
	struct tss_struct *tss = &init_tss[cpu];

	tss->sp0 = cpu_data(cpu)->kernel_stack;
	tss->ist[DOUBLEFAULT_STACK - 1] = (u64)double_fault_stack[cpu] + EXCEPTION_STKSZ;
	tss->ist[NMI_STACK - 1] = (u64)nmi_stack[cpu] + EXCEPTION_STKSZ;
	tss->io_bitmap_base = sizeof(*tss);
	gdt_setup(cpu);
	__asm__ volatile("lidt %0" : : "m"(idt_descr));
	wrmsrl(MSR_GS_BASE, (u64)cpu_data(cpu));
	wrmsrl(MSR_KERNEL_GS_BASE, 0);
	wrmsrl(MSR_STAR, ((u64)__USER32_CS << 48) | ((u64)__KERNEL_CS << 32));
	wrmsrl(MSR_LSTAR, (u64)system_call);
	wrmsrl(MSR_SYSCALL_MASK,
	       X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_IF | X86_EFLAGS_IOPL);
}
