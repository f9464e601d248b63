/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The periodic tick as a high-resolution timer, stopped while a CPU idles,
 * and the duty of one CPU to advance jiffies.
 */
#include "boot_params.h"
#include "irq.h"
#include "kernel.h"
#include "sched.h"

#define TICK_DO_TIMER_NONE (-1)

static volatile int tick_do_timer_cpu = TICK_DO_TIMER_NONE;

/* The plain comparison spares the lock when another CPU was just here. */
static noinline void tick_do_update_jiffies64(s64 now)
{
	s64 delta = now - ACCESS_ONCE(last_jiffies_update);
	unsigned long ticks;

	if (delta < tick_period)
		return;
	write_seqlock(&xtime_lock);
	delta = now - last_jiffies_update;
	if (delta >= tick_period) {
		ticks = 1;
		if (unlikely(delta >= 2 * tick_period))
			ticks = (unsigned long)(delta / tick_period);
		last_jiffies_update += (s64)ticks * tick_period;
		jiffies += ticks;
	}
	write_sequnlock(&xtime_lock);
}

/* The soft interrupt is left out while no timer of the wheel can be due. */
static noinline void update_process_times(struct percpu *pc)
{
	if (unlikely(time_after_eq(jiffies, pc->next_timer)))
		raise_softirq_irqoff(TIMER_SOFTIRQ);
	scheduler_tick();
}

static noinline enum hrtimer_restart tick_sched_timer(struct hrtimer *timer)
{
	struct percpu *pc = this_cpu();
	int cpu = (int)pc->cpu_number;
	s64 now = pc->hrtimer_base.now;

	if (unlikely(tick_do_timer_cpu == TICK_DO_TIMER_NONE))
		tick_do_timer_cpu = cpu;
	if (tick_do_timer_cpu == cpu)
		tick_do_update_jiffies64(now);
	update_process_times(pc);
	hrtimer_forward(timer, now, tick_period);
	return HRTIMER_RESTART;
}

/* Ticks are spread over half a period when they are to be skewed. */
void tick_setup_sched_timer(void)
{
	struct percpu *pc = this_cpu();
	s64 now = ktime_get();
	s64 first;

	if (pc->cpu_number == 0)
		tick_do_timer_cpu = 0;
	tick_do_update_jiffies64(now);
	hrtimer_init(&pc->tick.sched_timer, tick_sched_timer);
	first = (now / tick_period + 1) * tick_period;
	if (boot_params.ticks_skewed)
		first += tick_period / 2 / (s64)nr_cpu_ids * (s64)pc->cpu_number;
	hrtimer_start(&pc->tick.sched_timer, first);
}

static void read_jiffies(unsigned long *last_jiffies, s64 *last_update)
{
	unsigned int seq;

	do {
		seq = read_seqbegin(&xtime_lock);
		*last_update = last_jiffies_update;
		*last_jiffies = jiffies;
	} while (read_seqretry(&xtime_lock, seq));
}

/* Programs the next timer that matters, or none, in place of the tick. */
static void stop_tick(struct percpu *pc)
{
	struct tick_sched *ts = &pc->tick;
	unsigned long last_jiffies, delta_jiffies;
	s64 last_update, expires;

	read_jiffies(&last_jiffies, &last_update);
	delta_jiffies = get_next_timer_interrupt(last_jiffies) - last_jiffies;
	if ((long)delta_jiffies <= 1)
		return;
	if (tick_do_timer_cpu == (int)pc->cpu_number)
		tick_do_timer_cpu = TICK_DO_TIMER_NONE;
	if (!ts->tick_stopped) {
		ts->idle_tick = ts->sched_timer.expires;
		ts->tick_stopped = true;
	}
	if (delta_jiffies >= MAX_JIFFY_OFFSET / 2) {
		hrtimer_cancel(&ts->sched_timer);
		return;
	}
	expires = last_update + (s64)delta_jiffies * tick_period;
	if (ts->sched_timer.expires != expires || !ts->sched_timer.active)
		hrtimer_start(&ts->sched_timer, expires);
}

/* @inidle: the idle loop asks; else the end of an interrupt that met it. */
noinline void tick_nohz_stop_sched_tick(bool inidle)
{
	struct percpu *pc = this_cpu();
	unsigned long flags = local_irq_save();

	if (inidle)
		pc->tick.inidle = true;
	if (pc->tick.inidle && !need_resched() && !pc->softirq_pending)
		stop_tick(pc);
	local_irq_restore(flags);
}

/* An interrupt meets an idle CPU: jiffies may be far behind. */
noinline void tick_check_idle(void)
{
	if (this_cpu()->tick.tick_stopped)
		tick_do_update_jiffies64(ktime_get());
}

noinline void tick_nohz_restart_sched_tick(void)
{
	struct tick_sched *ts = &this_cpu()->tick;
	s64 now, next;

	local_irq_disable();
	ts->inidle = false;
	if (ts->tick_stopped) {
		now = ktime_get();
		tick_do_update_jiffies64(now);
		ts->tick_stopped = false;
		next = ts->idle_tick;
		if (next <= now)
			next += ((now - next) / tick_period + 1) * tick_period;
		hrtimer_start(&ts->sched_timer, next);
	}
	local_irq_enable();
}
