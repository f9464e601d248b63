/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Entering and leaving interrupt context, and what is left for its end. */
#include "irq.h"
#include "sched.h"

#define MAX_SOFTIRQ_RESTART 10

void raise_softirq_irqoff(unsigned int nr)
{
	this_cpu()->softirq_pending |= 1u << nr;
}

/*
 * Interrupts are on inside. What is raised again after the last round waits
 * for the end of the next interrupt.
 */
static noinline void __do_softirq(struct percpu *pc)
{
	struct thread_info *ti = current_thread_info();
	int max_restart = MAX_SOFTIRQ_RESTART;
	unsigned int pending;

	ti->preempt_count += SOFTIRQ_OFFSET;
	while ((pending = pc->softirq_pending) && max_restart--) {
		pc->softirq_pending = 0;
		local_irq_enable();
		if (pending & (1u << TIMER_SOFTIRQ))
			run_timer_softirq();
		local_irq_disable();
	}
	ti->preempt_count -= SOFTIRQ_OFFSET;
}

noinline void do_softirq(void)
{
	struct percpu *pc = this_cpu();

	if (!in_interrupt() && pc->softirq_pending)
		__do_softirq(pc);
}

/* Soft interrupts, and the tick of an idle CPU, are for the outermost only. */
noinline void irq_exit(void)
{
	struct thread_info *ti = current_thread_info();
	struct percpu *pc = this_cpu();

	ti->preempt_count -= HARDIRQ_OFFSET;
	if (likely(!(pc->softirq_pending | pc->is_idle)) || in_interrupt())
		return;
	do_softirq();
	if (pc->is_idle && !need_resched())
		tick_nohz_stop_sched_tick(false);
}
