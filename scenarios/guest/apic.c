/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The local APIC in both of its modes. Interrupts are addressed physically:
 * a mask is sent as one message for each CPU in it.
 */
#include "boot_params.h"
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "processor.h"
#include "sched.h"

#define X2APIC_ENABLE (1u << 10)

const struct apic *apic;
bool x2apic_mode;

static u32 xapic_read(u32 reg)
{
	return readl((const void *)(APIC_BASE + reg));
}

static void xapic_write(u32 reg, u32 v)
{
	writel(v, (void *)(APIC_BASE + reg));
}

static u32 icr_low(int vector)
{
	return vector == NMI_VECTOR ? APIC_DM_NMI : (u32)vector;
}

/*
 * Two writes, the second of which sends: interrupts are off so that no
 * handler comes in between and changes the first.
 */
static noinline void __default_send_IPI_dest_field(unsigned int cpu, int vector)
{
	while (xapic_read(APIC_ICR) & APIC_ICR_BUSY)
		cpu_relax();
	xapic_write(APIC_ICR2, cpu << 24);
	xapic_write(APIC_ICR, icr_low(vector));
}

static void xapic_send_IPI_one(unsigned int cpu, int vector)
{
	unsigned long flags = local_irq_save();

	__default_send_IPI_dest_field(cpu, vector);
	local_irq_restore(flags);
}

static void xapic_send_mask_but(const struct cpumask *mask, int vector, unsigned int skip)
{
	unsigned long flags = local_irq_save();
	unsigned int cpu;

	for_each_cpu(cpu, mask) {
		if (cpu != skip)
			__default_send_IPI_dest_field(cpu, vector);
	}
	local_irq_restore(flags);
}

static noinline void physflat_send_IPI_mask(const struct cpumask *mask, int vector)
{
	xapic_send_mask_but(mask, vector, NR_CPUS);
}

static noinline void physflat_send_IPI_allbutself(int vector)
{
	xapic_send_mask_but(&cpu_online_mask, vector, smp_processor_id());
}

static const struct apic apic_physflat = {
	.name = "physical flat",
	.send_IPI_mask = physflat_send_IPI_mask,
	.send_IPI_one = xapic_send_IPI_one,
	.send_IPI_allbutself = physflat_send_IPI_allbutself,
};

static void __x2apic_send_IPI_dest(unsigned int cpu, int vector)
{
	wrmsrl(X2APIC_MSR_BASE + (APIC_ICR >> 4), ((u64)cpu << 32) | icr_low(vector));
}

/*
 * A write to the ICR's MSR does not serialise: what the target is to find in
 * memory must be globally visible first. One fence serves the whole mask.
 */
static void x2apic_wrmsr_fence(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

static void x2apic_send_IPI_one(unsigned int cpu, int vector)
{
	unsigned long flags;

	x2apic_wrmsr_fence();
	flags = local_irq_save();
	__x2apic_send_IPI_dest(cpu, vector);
	local_irq_restore(flags);
}

static void x2apic_send_mask_but(const struct cpumask *mask, int vector, unsigned int skip)
{
	unsigned long flags;
	unsigned int cpu;

	x2apic_wrmsr_fence();
	flags = local_irq_save();
	for_each_cpu(cpu, mask) {
		if (cpu != skip)
			__x2apic_send_IPI_dest(cpu, vector);
	}
	local_irq_restore(flags);
}

static noinline void x2apic_send_IPI_mask(const struct cpumask *mask, int vector)
{
	x2apic_send_mask_but(mask, vector, NR_CPUS);
}

static noinline void x2apic_send_IPI_allbutself(int vector)
{
	x2apic_send_mask_but(&cpu_online_mask, vector, smp_processor_id());
}

static const struct apic apic_x2apic_phys = {
	.name = "physical x2apic",
	.send_IPI_mask = x2apic_send_IPI_mask,
	.send_IPI_one = x2apic_send_IPI_one,
	.send_IPI_allbutself = x2apic_send_IPI_allbutself,
};

void apic_select(void)
{
	x2apic_mode = boot_params.x2apic != 0;
	apic = x2apic_mode ? &apic_x2apic_phys : &apic_physflat;
}

void setup_local_APIC(void)
{
	if (x2apic_mode)
		wrmsrl(MSR_IA32_APICBASE, rdmsrl(MSR_IA32_APICBASE) | X2APIC_ENABLE);
	apic_write(APIC_TASKPRI, 0);
	apic_write(APIC_SPIV, APIC_SPIV_APIC_ENABLED | SPURIOUS_APIC_VECTOR);
	apic_write(APIC_LVT0, APIC_LVT_MASKED);
	apic_write(APIC_LVT1, APIC_LVT_MASKED);
	apic_write(APIC_LVTERR, ERROR_APIC_VECTOR);
	apic_write(APIC_TDCR, APIC_TDR_DIV_1);
	apic_write(APIC_LVTT, LOCAL_TIMER_VECTOR); /* one-shot */
}

/* EOI first: the timer may be programmed again at once. */
void smp_apic_timer_interrupt(struct pt_regs *regs);
noinline void smp_apic_timer_interrupt(struct pt_regs *regs)
{
	struct percpu *pc = this_cpu();

	ack_APIC_irq();
	pc->irq_regs = regs;
	irq_enter();
	hrtimer_interrupt();
	pc->irq_regs = NULL;
	irq_exit();
}

void smp_error_interrupt(struct pt_regs *regs);
void smp_error_interrupt(struct pt_regs *regs)
{
	(void)regs;
	ack_APIC_irq();
	printk("APIC error on CPU%u\n", smp_processor_id());
}

/* No EOI: the local APIC sets no in-service bit for it. */
void smp_spurious_interrupt(struct pt_regs *regs);
void smp_spurious_interrupt(struct pt_regs *regs)
{
	(void)regs;
	printk("spurious APIC interrupt on CPU#%u, should never happen.\n", smp_processor_id());
}
