/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The idle task of every CPU. */
#include "boot_params.h"
#include "kernel.h"
#include "sched.h"

/*
 * TS_POLLING says "I look at the flags, send no interrupt". It is withdrawn
 * before the last look, with a full barrier in between.
 */
static noinline void default_idle(struct thread_info *ti)
{
	ti->status &= ~TS_POLLING;
	smp_mb();
	if (!need_resched())
		safe_halt();
	else
		local_irq_enable();
	ti->status |= TS_POLLING;
}

/* Stays in polling mode: the store to the flags ends the wait by itself. */
static noinline void mwait_idle(struct thread_info *ti)
{
	if (!need_resched()) {
		clflush(&ti->flags);
		__monitor((const void *)&ti->flags);
		smp_mb();
		if (!need_resched()) {
			__sti_mwait();
			return;
		}
	}
	local_irq_enable();
}

static noinline void poll_idle(void)
{
	local_irq_enable();
	while (!need_resched())
		cpu_relax();
}

noinline void cpu_idle(void)
{
	struct thread_info *ti = current_thread_info();
	struct percpu *pc = this_cpu();

	ti->status |= TS_POLLING;
	for (;;) {
		tick_nohz_stop_sched_tick(true);
		while (!need_resched()) {
			local_irq_disable();
			pc->is_idle = true;
			if (boot_params.idle_mode == IDLE_MWAIT)
				mwait_idle(ti);
			else if (boot_params.idle_mode == IDLE_POLL)
				poll_idle();
			else
				default_idle(ti);
			pc->is_idle = false;
		}
		tick_nohz_restart_sched_tick();
		schedule();
	}
}
