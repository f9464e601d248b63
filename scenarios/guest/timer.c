/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The timer wheel, in jiffies: 256 slots for the near future and four coarser
 * levels of 64, from which timers move down as their time comes nearer.
 */
#include "irq.h"
#include "kernel.h"
#include "sched.h"

#define TVR_BITS 8
#define TVN_BITS 6
#define TVR_SIZE (1 << TVR_BITS)
#define TVN_SIZE (1 << TVN_BITS)
#define TVR_MASK (TVR_SIZE - 1)
#define TVN_MASK (TVN_SIZE - 1)
#define NR_TVN 4
#define TVN_SHIFT(level) (TVR_BITS + (level) * TVN_BITS)
#define MAX_TVAL ((1ul << (TVR_BITS + NR_TVN * TVN_BITS)) - 1)

struct tvec_base {
	spinlock_t lock;
	struct timer_list *running_timer;
	unsigned long timer_jiffies; /* all before it has been run */
	struct percpu *cpu;          /* holds the bound: no timer is earlier */
	unsigned int nr_timers;
	struct list_head tv1[TVR_SIZE];
	struct list_head tvn[NR_TVN][TVN_SIZE];
} __cacheline_aligned;

static struct tvec_base tvec_bases[MAX_CPUS];

void init_timers_cpu(int cpu)
{
	struct tvec_base *base = &tvec_bases[cpu];
	int i, level;

	for (i = 0; i < TVR_SIZE; i++)
		INIT_LIST_HEAD(&base->tv1[i]);
	for (level = 0; level < NR_TVN; level++) {
		for (i = 0; i < TVN_SIZE; i++)
			INIT_LIST_HEAD(&base->tvn[level][i]);
	}
	base->timer_jiffies = jiffies;
	base->cpu = cpu_data(cpu);
	base->cpu->next_timer = jiffies + MAX_JIFFY_OFFSET;
}

static struct list_head *timer_slot(struct tvec_base *base, unsigned long expires)
{
	unsigned long delta = expires - base->timer_jiffies;
	int level;

	if ((long)delta < 0)
		return &base->tv1[base->timer_jiffies & TVR_MASK];
	if (delta < TVR_SIZE)
		return &base->tv1[expires & TVR_MASK];
	if (delta > MAX_TVAL) {
		delta = MAX_TVAL;
		expires = base->timer_jiffies + delta;
	}
	for (level = 0; delta >= 1ul << TVN_SHIFT(level + 1); level++)
		;
	return &base->tvn[level][(expires >> TVN_SHIFT(level)) & TVN_MASK];
}

static void internal_add_timer(struct tvec_base *base, struct timer_list *timer)
{
	list_add_tail(&timer->entry, timer_slot(base, timer->expires));
}

void setup_timer_on_stack(struct timer_list *t, void (*fn)(unsigned long), unsigned long data)
{
	t->entry.next = NULL;
	t->function = fn;
	t->data = data;
	t->base = &tvec_bases[smp_processor_id()];
}

static bool timer_pending(const struct timer_list *t)
{
	return t->entry.next != NULL;
}

static void detach_timer(struct tvec_base *base, struct timer_list *timer)
{
	list_del(&timer->entry);
	/* The bound is found anew when somebody asks for it. */
	if (--base->nr_timers == 0)
		base->cpu->next_timer = jiffies + MAX_JIFFY_OFFSET;
	else if (timer->expires == base->cpu->next_timer)
		base->cpu->next_timer = base->timer_jiffies;
}

noinline int __mod_timer(struct timer_list *timer, unsigned long expires)
{
	struct tvec_base *base = timer->base;
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&base->lock, flags);
	if (timer_pending(timer)) {
		detach_timer(base, timer);
		ret = 1;
	}
	/* An empty wheel need not be turned through the time it slept. */
	if (base->nr_timers == 0) {
		base->timer_jiffies = jiffies;
		base->cpu->next_timer = expires;
	} else if (time_before(expires, base->cpu->next_timer)) {
		base->cpu->next_timer = expires;
	}
	timer->expires = expires;
	internal_add_timer(base, timer);
	base->nr_timers++;
	spin_unlock_irqrestore(&base->lock, flags);
	return ret;
}

noinline int del_timer(struct timer_list *timer)
{
	struct tvec_base *base = timer->base;
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&base->lock, flags);
	if (timer_pending(timer)) {
		detach_timer(base, timer);
		ret = 1;
	}
	spin_unlock_irqrestore(&base->lock, flags);
	return ret;
}

/* As del_timer(), but the handler is not running any more on return. */
noinline int del_singleshot_timer_sync(struct timer_list *timer)
{
	int ret = del_timer(timer);

	while (ACCESS_ONCE(timer->base->running_timer) == timer)
		cpu_relax();
	return ret;
}

static void cascade(struct tvec_base *base, struct list_head *slot)
{
	LIST_HEAD(list);

	list_splice_tail_init(slot, &list);
	while (!list_empty(&list)) {
		struct timer_list *t = list_entry(list.next, struct timer_list, entry);

		__list_unlink(&t->entry);
		internal_add_timer(base, t);
	}
}

static void turn_wheel(struct tvec_base *base)
{
	int level;

	if (base->timer_jiffies & TVR_MASK)
		return;
	for (level = 0; level < NR_TVN; level++) {
		unsigned long i = (base->timer_jiffies >> TVN_SHIFT(level)) & TVN_MASK;

		cascade(base, &base->tvn[level][i]);
		if (i)
			break;
	}
}

static unsigned long slot_minimum(struct list_head *slot, unsigned long best)
{
	struct list_head *pos;

	list_for_each(pos, slot) {
		struct timer_list *t = list_entry(pos, struct timer_list, entry);

		if (time_before(t->expires, best))
			best = t->expires;
	}
	return best;
}

static noinline unsigned long __next_timer_interrupt(struct tvec_base *base)
{
	unsigned long best = base->timer_jiffies + MAX_JIFFY_OFFSET;
	int i, level;

	for (i = 0; i < TVR_SIZE; i++)
		best = slot_minimum(&base->tv1[i], best);
	for (level = 0; level < NR_TVN; level++) {
		for (i = 0; i < TVN_SIZE; i++)
			best = slot_minimum(&base->tvn[level][i], best);
	}
	return best;
}

/* Looks for the next timer if the bound has been left behind. */
static void update_bound(struct tvec_base *base)
{
	if (base->nr_timers && time_before(base->cpu->next_timer, base->timer_jiffies + 1))
		base->cpu->next_timer = __next_timer_interrupt(base);
}

static noinline void __run_timers(struct tvec_base *base)
{
	spin_lock_irq(&base->lock);
	while (time_after_eq(jiffies, base->timer_jiffies)) {
		LIST_HEAD(work);

		turn_wheel(base);
		list_splice_tail_init(&base->tv1[base->timer_jiffies & TVR_MASK], &work);
		base->timer_jiffies++;
		while (!list_empty(&work)) {
			struct timer_list *t = list_entry(work.next, struct timer_list, entry);
			void (*fn)(unsigned long) = t->function;
			unsigned long data = t->data;

			base->running_timer = t;
			detach_timer(base, t);
			spin_unlock_irq(&base->lock);
			fn(data);
			spin_lock_irq(&base->lock);
		}
		if (base->nr_timers == 0)
			base->timer_jiffies = jiffies + 1;
	}
	base->running_timer = NULL;
	update_bound(base);
	spin_unlock_irq(&base->lock);
}

void run_timer_softirq(void)
{
	__run_timers(&tvec_bases[smp_processor_id()]);
}

/* The jiffy of the next timer on this CPU, @now + MAX_JIFFY_OFFSET if none. */
unsigned long get_next_timer_interrupt(unsigned long now)
{
	struct tvec_base *base = &tvec_bases[smp_processor_id()];
	unsigned long next;

	spin_lock(&base->lock);
	update_bound(base);
	next = base->nr_timers ? base->cpu->next_timer : now + MAX_JIFFY_OFFSET;
	spin_unlock(&base->lock);
	return next;
}

static noinline void process_timeout(unsigned long data)
{
	wake_up_process((struct task_struct *)data);
}

/* Returns the jiffies that are left; the caller has set its state. */
noinline long schedule_timeout(long timeout)
{
	struct timer_list timer;
	unsigned long expire;

	if (timeout == MAX_SCHEDULE_TIMEOUT) {
		schedule();
		return timeout;
	}
	expire = (unsigned long)timeout + jiffies;
	setup_timer_on_stack(&timer, process_timeout, (unsigned long)current);
	__mod_timer(&timer, expire);
	schedule();
	del_singleshot_timer_sync(&timer);
	timeout = (long)(expire - jiffies);
	return timeout < 0 ? 0 : timeout;
}

noinline long schedule_timeout_interruptible(long timeout)
{
	__set_current_state(TASK_INTERRUPTIBLE);
	return schedule_timeout(timeout);
}

noinline long schedule_timeout_uninterruptible(long timeout)
{
	__set_current_state(TASK_UNINTERRUPTIBLE);
	return schedule_timeout(timeout);
}

noinline void msleep(unsigned int ms)
{
	long timeout = (long)msecs_to_jiffies(ms) + 1;

	while (timeout)
		timeout = schedule_timeout_uninterruptible(timeout);
}
