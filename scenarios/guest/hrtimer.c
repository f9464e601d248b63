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
	timer->state = HRTIMER_STATE_INACTIVE;
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
	unsigned long flags;

	hrtimer_try_to_cancel(timer);
	spin_lock_irqsave(&base->lock, flags);
	timer->cpu = smp_processor_id();
	timer->expires = expires;
	enqueue_hrtimer(base, timer);
	timer->state |= HRTIMER_STATE_ENQUEUED;
	hrtimer_reprogram(base);
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
		__list_unlink(&timer->node);
		timer->state &= ~(unsigned int)HRTIMER_STATE_ENQUEUED;
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
	hrtimer_reprogram(base);
	spin_unlock(&base->lock);
}

noinline void hrtimer_interrupt(void)
{
	struct hrtimer_cpu_base *base = &this_cpu()->hrtimer_base;
	struct hrtimer *timer;
	s64 now = ktime_get();

	spin_lock(&base->lock);
	base->in_interrupt = true;
	base->now = now;
	while ((timer = first_timer(base))->expires <= now) {
		__list_unlink(&timer->node);
		timer->state = HRTIMER_STATE_CALLBACK;
		spin_unlock(&base->lock);
		if (timer->function(timer) == HRTIMER_RESTART) {
			spin_lock(&base->lock);
			enqueue_hrtimer(base, timer);
			timer->state = HRTIMER_STATE_ENQUEUED;
		} else {
			spin_lock(&base->lock);
			timer->state &= ~(unsigned int)HRTIMER_STATE_CALLBACK;
		}
	}
	base->in_interrupt = false;
	tick_program_event(base, timer->expires, ktime_get());
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
	return do_nanosleep(&t, ktime_get() + ns) ? 0 : -EINTR;
}
