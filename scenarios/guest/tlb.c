/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * TLB shoot-down. The sender picks one of eight slots by its CPU number,
 * fills it in under the slot's lock, interrupts all CPUs that use the address
 * space and waits, without limit, until the last has cleared its bit.
 */
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

union smp_flush_state flush_state[NUM_INVALIDATE_TLB_VECTORS];

static struct cpumask *to_cpumask(unsigned long *bits)
{
	return (struct cpumask *)bits;
}

static void local_flush_tlb(void)
{
	write_cr3(read_cr3());
}

/* This CPU only borrows the address space: let go of it altogether. */
void leave_mm(int cpu)
{
	struct tlb_state *ts = &this_cpu()->cpu_tlbstate;

	BUG_ON(ts->state == TLBSTATE_OK);
	cpumask_clear_cpu(cpu, mm_cpumask(ts->active_mm));
	write_cr3(init_mm.pgd);
}

/*
 * The order matters to concurrent flushes: the new state and the bit in the
 * new mask first, then the page tables, last the bit in the old mask.
 */
void switch_mm(struct mm_struct *prev, struct mm_struct *next, struct task_struct *tsk)
{
	struct tlb_state *ts = &this_cpu()->cpu_tlbstate;
	unsigned int cpu = smp_processor_id();

	tsk->active_mm = next;
	if (likely(prev != next)) {
		ts->state = TLBSTATE_OK;
		ts->active_mm = next;
		cpumask_set_cpu(cpu, mm_cpumask(next));
		write_cr3(next->pgd);
		cpumask_clear_cpu(cpu, mm_cpumask(prev));
	} else {
		ts->state = TLBSTATE_OK;
		if (!cpumask_test_and_set_cpu(cpu, mm_cpumask(next)))
			write_cr3(next->pgd);
	}
}

void enter_lazy_tlb(struct mm_struct *mm)
{
	struct tlb_state *ts = &this_cpu()->cpu_tlbstate;

	(void)mm;
	if (ts->state == TLBSTATE_OK)
		ts->state = TLBSTATE_LAZY;
}

/*
 * EOI first, then the bit: once it is clear the sender may go on and use the
 * slot again.
 */
noinline void smp_invalidate_interrupt(struct pt_regs *regs)
{
	struct percpu *pc = this_cpu();
	unsigned int cpu = pc->cpu_number;
	unsigned int sender = (~(unsigned int)regs->orig_ax & 0xff) - INVALIDATE_TLB_VECTOR_START;
	union smp_flush_state *f = &flush_state[sender];

	if (cpumask_test_cpu(cpu, to_cpumask(f->flush_cpumask)) &&
	    f->flush_mm == pc->cpu_tlbstate.active_mm) {
		if (pc->cpu_tlbstate.state != TLBSTATE_OK)
			leave_mm((int)cpu);
		else if (f->flush_va == TLB_FLUSH_ALL)
			local_flush_tlb();
		else
			__flush_tlb_one(f->flush_va);
	}
	ack_APIC_irq();
	barrier();
	cpumask_clear_cpu(cpu, to_cpumask(f->flush_cpumask));
	barrier();
	pc->irq_stat_tlb++;
}

static noinline void flush_tlb_others_ipi(const struct cpumask *cpumask, struct mm_struct *mm,
					  unsigned long va)
{
	unsigned int sender = smp_processor_id() % NUM_INVALIDATE_TLB_VECTORS;
	union smp_flush_state *f = &flush_state[sender];

	spin_lock(&f->tlbstate_lock);
	f->flush_mm = mm;
	f->flush_va = va;
	if (cpumask_andnot_cpu(to_cpumask(f->flush_cpumask), cpumask, smp_processor_id())) {
		apic->send_IPI_mask(to_cpumask(f->flush_cpumask),
				    (int)(INVALIDATE_TLB_VECTOR_START + sender));
		while (!cpumask_empty(to_cpumask(f->flush_cpumask)))
			cpu_relax();
	}
	f->flush_mm = NULL;
	f->flush_va = 0;
	spin_unlock(&f->tlbstate_lock);
}

static noinline void native_flush_tlb_others(const struct cpumask *cpumask, struct mm_struct *mm,
					     unsigned long va)
{
	flush_tlb_others_ipi(cpumask, mm, va);
}

noinline void flush_tlb_mm(struct mm_struct *mm)
{
	unsigned int cpu = smp_processor_id();

	if (current->active_mm == mm) {
		if (current->mm)
			local_flush_tlb();
		else
			leave_mm((int)cpu);
	}
	if (cpumask_any_but(mm_cpumask(mm), cpu))
		native_flush_tlb_others(mm_cpumask(mm), mm, TLB_FLUSH_ALL);
}

noinline void flush_tlb_page(struct mm_struct *mm, unsigned long va)
{
	unsigned int cpu = smp_processor_id();

	if (current->active_mm == mm) {
		if (current->mm)
			__flush_tlb_one(va);
		else
			leave_mm((int)cpu);
	}
	if (cpumask_any_but(mm_cpumask(mm), cpu))
		native_flush_tlb_others(mm_cpumask(mm), mm, va);
}
