/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* High-resolution timers: a sorted list for each CPU, one-shot LAPIC timer. */
#include "irq.h"
#include "kernel.h"
#include "sched.h"

static struct hrtimer *first_timer(struct hrtimer_cpu_base *base)
{
	return list_entry(base->sentinel.node.next, struct hrtimer, node);
}

void hrtimers_init_cpu(int cpu)
{
	struct hrtimer_cpu_base *base = &cpu_data(cpu)->hrtimer_base;

	INIT_LIST_HEAD(&base->sentinel.node);
	base->sentinel.expires = KTIME_MAX;
	base->expires_next = KTIME_MAX;
}

void hrtimer_init(struct hrtimer *timer, enum hrtimer_restart (*fn)(struct hrtimer *))
{
	timer->function = fn;
	timer->active = false;
}

/* Near timers are the rule: the search begins at the head. */
static void enqueue_hrtimer(struct hrtimer_cpu_base *base, struct hrtimer *timer)
{
	struct hrtimer *pos = first_timer(base);

	while (pos->expires <= timer->expires)
		pos = list_entry(pos->node.next, struct hrtimer, node);
	list_add_tail(&timer->node, &pos->node);
}

/* An event in the past comes after the least delay instead. */
static __always_inline void tick_program_event(struct hrtimer_cpu_base *base, s64 next, s64 now)
{
	base->expires_next = next;
	if (unlikely(next == KTIME_MAX))
		apic_program_timer(0);
	else
		apic_program_timer(ns_to_apic_ticks(next > now ? next - now : 0));
}

/* After a change of the list; the interrupt does so itself at its end. */
static void hrtimer_reprogram(struct hrtimer_cpu_base *base)
{
	s64 next = first_timer(base)->expires;

	if (!base->in_interrupt && next != base->expires_next)
		tick_program_event(base, next, ktime_get());
}

/* Enqueues @timer on this CPU; @expires is absolute. */
noinline void hrtimer_start(struct hrtimer *timer, s64 expires)
{
	struct hrtimer_cpu_base *base = &this_cpu()->hrtimer_base;
	unsigned long flags = local_irq_save();

	if (timer->active)
		__list_unlink(&timer->node);
	timer->active = true;
	timer->expires = expires;
	enqueue_hrtimer(base, timer);
	hrtimer_reprogram(base);
	local_irq_restore(flags);
}

noinline void hrtimer_cancel(struct hrtimer *timer)
{
	unsigned long flags = local_irq_save();

	if (timer->active) {
		__list_unlink(&timer->node);
		timer->active = false;
		hrtimer_reprogram(&this_cpu()->hrtimer_base);
	}
	local_irq_restore(flags);
}

/*
 * A timer stays in the list while its function runs; mostly it is the first
 * again afterwards, and nothing need be moved.
 */
noinline void hrtimer_interrupt(void)
{
	struct hrtimer_cpu_base *base = &this_cpu()->hrtimer_base;
	struct hrtimer *timer, *next;
	s64 now = ktime_get();

	base->in_interrupt = true;
	base->now = now;
	while ((timer = first_timer(base))->expires <= now) {
		if (timer->function(timer) == HRTIMER_NORESTART) {
			__list_unlink(&timer->node);
			timer->active = false;
			continue;
		}
		next = list_entry(timer->node.next, struct hrtimer, node);
		if (next->expires < timer->expires) {
			__list_unlink(&timer->node);
			enqueue_hrtimer(base, timer);
		}
	}
	base->in_interrupt = false;
	tick_program_event(base, timer->expires, ktime_get());
}

struct hrtimer_sleeper {
	struct hrtimer timer;
	struct task_struct *task;
};

static noinline enum hrtimer_restart hrtimer_wakeup(struct hrtimer *timer)
{
	struct hrtimer_sleeper *t = container_of(timer, struct hrtimer_sleeper, timer);
	struct task_struct *task = t->task;

	t->task = NULL;
	if (task)
		wake_up_process(task);
	return HRTIMER_NORESTART;
}

static noinline int do_nanosleep(struct hrtimer_sleeper *t, s64 expires)
{
	do {
		set_current_state(TASK_INTERRUPTIBLE);
		hrtimer_start(&t->timer, expires);
		if (likely(t->task))
			schedule();
		hrtimer_cancel(&t->timer);
	} while (t->task && !signal_pending(current));
	__set_current_state(TASK_RUNNING);
	return t->task == NULL;
}

noinline long hrtimer_nanosleep(s64 ns)
{
	struct hrtimer_sleeper t = { .task = current };

	hrtimer_init(&t.timer, hrtimer_wakeup);
	return do_nanosleep(&t, ktime_get() + ns) ? 0 : -EINTR;
}
