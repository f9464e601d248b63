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

#define APIC_BASE 0xffffffffff5fc000ul /* fixmap page of the xAPIC registers */
#define X2APIC_MSR_BASE 0x800
#define X2APIC_ENABLE (1u << 10)

const struct apic *apic;

static u32 xapic_read(u32 reg)
{
	return readl((const void *)(APIC_BASE + reg));
}

static void xapic_write(u32 reg, u32 v)
{
	writel(v, (void *)(APIC_BASE + reg));
}

static void xapic_eoi(void)
{
	writel(0, (void *)(APIC_BASE + APIC_EOI));
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
	.read = xapic_read,
	.write = xapic_write,
	.eoi = xapic_eoi,
	.send_IPI_mask = physflat_send_IPI_mask,
	.send_IPI_one = xapic_send_IPI_one,
	.send_IPI_allbutself = physflat_send_IPI_allbutself,
};

static u32 x2apic_read(u32 reg)
{
	return (u32)rdmsrl(X2APIC_MSR_BASE + (reg >> 4));
}

static void x2apic_write(u32 reg, u32 v)
{
	wrmsrl(X2APIC_MSR_BASE + (reg >> 4), v);
}

static void x2apic_eoi(void)
{
	wrmsrl(X2APIC_MSR_BASE + (APIC_EOI >> 4), 0);
}

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
	.read = x2apic_read,
	.write = x2apic_write,
	.eoi = x2apic_eoi,
	.send_IPI_mask = x2apic_send_IPI_mask,
	.send_IPI_one = x2apic_send_IPI_one,
	.send_IPI_allbutself = x2apic_send_IPI_allbutself,
};

void apic_select(void)
{
	apic = boot_params.x2apic ? &apic_x2apic_phys : &apic_physflat;
}

void setup_local_APIC(void)
{
	if (boot_params.x2apic)
		wrmsrl(MSR_IA32_APICBASE, rdmsrl(MSR_IA32_APICBASE) | X2APIC_ENABLE);
	apic->write(APIC_TASKPRI, 0);
	apic->write(APIC_SPIV, APIC_SPIV_APIC_ENABLED | SPURIOUS_APIC_VECTOR);
	apic->write(APIC_LVT0, APIC_LVT_MASKED);
	apic->write(APIC_LVT1, APIC_LVT_MASKED);
	apic->write(APIC_LVTERR, ERROR_APIC_VECTOR);
	apic->write(APIC_TDCR, APIC_TDR_DIV_1);
	apic->write(APIC_LVTT, LOCAL_TIMER_VECTOR); /* one-shot */
}

void apic_program_timer(u32 ticks)
{
	apic->write(APIC_TMICT, ticks);
}

/* EOI first: the timer may be programmed again at once. */
void smp_apic_timer_interrupt(struct pt_regs *regs);
noinline void smp_apic_timer_interrupt(struct pt_regs *regs)
{
	struct percpu *pc = this_cpu();
	struct pt_regs *old_regs = pc->irq_regs;

	pc->irq_regs = regs;
	ack_APIC_irq();
	irq_enter();
	pc->irq_stat_timer++;
	hrtimer_interrupt();
	irq_exit();
	pc->irq_regs = old_regs;
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
