/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* High-resolution timers: a sorted list for each CPU, one-shot LAPIC timer. */
#include "irq.h"
#include "kernel.h"
#include "sched.h"

void hrtimers_init_cpu(int cpu)
{
	struct hrtimer_cpu_base *base = &cpu_data(cpu)->hrtimer_base;

	INIT_LIST_HEAD(&base->active);
	base->expires_next = KTIME_MAX;
}

void hrtimer_init(struct hrtimer *timer, enum hrtimer_restart (*fn)(struct hrtimer *))
{
	timer->function = fn;
	timer->state = HRTIMER_STATE_INACTIVE;
}

/* Near timers are the rule: the search begins at the head. */
static void enqueue_hrtimer(struct hrtimer_cpu_base *base, struct hrtimer *timer)
{
	struct list_head *pos = base->active.next;

	while (pos != &base->active &&
	       list_entry(pos, struct hrtimer, node)->expires <= timer->expires)
		pos = pos->next;
	list_add_tail(&timer->node, pos);
	timer->state |= HRTIMER_STATE_ENQUEUED;
}

static void remove_hrtimer(struct hrtimer *timer)
{
	__list_unlink(&timer->node);
	timer->state &= ~HRTIMER_STATE_ENQUEUED;
}

/* An event in the past comes after the least delay instead. */
static void tick_program_event(struct hrtimer_cpu_base *base, s64 now)
{
	s64 next = KTIME_MAX;
	s64 delta;

	if (!list_empty(&base->active))
		next = list_entry(base->active.next, struct hrtimer, node)->expires;
	if (next == base->expires_next)
		return;
	base->expires_next = next;
	if (next == KTIME_MAX) {
		apic_program_timer(0);
		return;
	}
	delta = next - now;
	apic_program_timer(ns_to_apic_ticks(delta > 0 ? delta : 0));
}

/* Enqueues @timer on this CPU; @expires is absolute. */
noinline void hrtimer_start(struct hrtimer *timer, s64 expires)
{
	struct hrtimer_cpu_base *base = &this_cpu()->hrtimer_base;
	unsigned long flags;

	hrtimer_try_to_cancel(timer);
	spin_lock_irqsave(&base->lock, flags);
	timer->cpu = smp_processor_id();
	timer->expires = expires;
	enqueue_hrtimer(base, timer);
	if (!base->in_interrupt)
		tick_program_event(base, ktime_get());
	spin_unlock_irqrestore(&base->lock, flags);
}

/* 1: was pending, 0: was not, -1: its function is running. */
noinline int hrtimer_try_to_cancel(struct hrtimer *timer)
{
	struct hrtimer_cpu_base *base = &cpu_data(timer->cpu)->hrtimer_base;
	unsigned long flags;
	int ret = 0;

	if (timer->state == HRTIMER_STATE_INACTIVE)
		return 0;
	spin_lock_irqsave(&base->lock, flags);
	if (timer->state & HRTIMER_STATE_ENQUEUED) {
		remove_hrtimer(timer);
		ret = 1;
	}
	if (timer->state & HRTIMER_STATE_CALLBACK)
		ret = -1;
	spin_unlock_irqrestore(&base->lock, flags);
	return ret;
}

void hrtimer_cancel(struct hrtimer *timer)
{
	while (hrtimer_try_to_cancel(timer) < 0)
		cpu_relax();
}

/* As hrtimer_cancel(), and this CPU's timer no longer counts for it. */
void hrtimer_cancel_idle(struct hrtimer *timer)
{
	struct hrtimer_cpu_base *base = &this_cpu()->hrtimer_base;

	hrtimer_cancel(timer);
	spin_lock(&base->lock);
	if (!base->in_interrupt)
		tick_program_event(base, ktime_get());
	spin_unlock(&base->lock);
}

/* Moves the expiry by whole intervals beyond @now. */
void hrtimer_forward(struct hrtimer *timer, s64 now, s64 interval)
{
	s64 delta = now - timer->expires;

	timer->expires += interval;
	if (unlikely(delta >= interval))
		timer->expires += delta / interval * interval;
}

noinline void hrtimer_interrupt(void)
{
	struct hrtimer_cpu_base *base = &this_cpu()->hrtimer_base;
	s64 now = ktime_get();

	spin_lock(&base->lock);
	base->in_interrupt = true;
	while (!list_empty(&base->active)) {
		struct hrtimer *timer = list_entry(base->active.next, struct hrtimer, node);
		enum hrtimer_restart restart;

		if (timer->expires > now)
			break;
		remove_hrtimer(timer);
		timer->state |= HRTIMER_STATE_CALLBACK;
		spin_unlock(&base->lock);
		restart = timer->function(timer);
		spin_lock(&base->lock);
		timer->state &= ~HRTIMER_STATE_CALLBACK;
		if (restart == HRTIMER_RESTART)
			enqueue_hrtimer(base, timer);
	}
	base->in_interrupt = false;
	base->expires_next = -1;
	tick_program_event(base, ktime_get());
	spin_unlock(&base->lock);
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
	t.timer.cpu = smp_processor_id();
	return do_nanosleep(&t, ktime_get() + ns) ? 0 : -EINTR;
}
