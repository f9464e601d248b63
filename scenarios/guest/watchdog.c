/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Lockup detectors. On every CPU a high-resolution timer counts up and wakes
 * a real-time thread. Hard lockup: an NMI finds that the timer has not run
 * since the last NMI. Soft lockup: the timer finds that the thread has not.
 */
#include "boot_params.h"
#include "init.h"
#include "kernel.h"
#include "sched.h"

/* The thread notes whole units of 2^30 ns, taken for seconds. */
#define WATCHDOG_UNIT_SHIFT 30
#define CHECKS_PER_THRESHOLD 5
#define WATCHDOG_PRIO 0 /* SCHED_FIFO 99 */
#define FIRST_WATCHDOG_PID 6

static bool watchdog_wanted(void)
{
	return boot_params.softlockup_thresh_ns || boot_params.hardlockup_period_cycles;
}

/* Without a soft lockup threshold the timer follows the hard detector's. */
static s64 get_sample_period(void)
{
	u64 thresh = boot_params.softlockup_thresh_ns;

	if (!thresh)
		thresh = (u64)cycles_to_ns(boot_params.hardlockup_period_cycles);
	return (s64)(thresh / CHECKS_PER_THRESHOLD);
}

static noinline bool is_hardlockup(struct watchdog_state *wd)
{
	unsigned long hrint = wd->hrtimer_interrupts;

	if (wd->hrtimer_interrupts_saved == hrint)
		return true;
	wd->hrtimer_interrupts_saved = hrint;
	return false;
}

noinline void watchdog_overflow_callback(struct pt_regs *regs)
{
	struct percpu *pc = this_cpu();
	struct watchdog_state *wd = &pc->watchdog;

	if (wd->nmi_touch) {
		wd->nmi_touch = false;
		return;
	}
	if (!is_hardlockup(wd)) {
		wd->hard_warned = false;
		return;
	}
	if (wd->hard_warned)
		return;
	if (boot_params.hardlockup_panic)
		panic("Watchdog detected hard LOCKUP on cpu %u", pc->cpu_number);
	report_begin();
	printk("Watchdog detected hard LOCKUP on cpu %u\n", pc->cpu_number);
	show_regs(regs);
	report_end();
	wd->hard_warned = true;
}

void touch_softlockup_watchdog(void)
{
	this_cpu()->watchdog.touch_ts = 0;
}

static void __touch_watchdog(struct watchdog_state *wd)
{
	wd->touch_ts = sched_clock();
}

/* Both the limit and the message count units of 2^30 ns. */
static u64 is_softlockup(const struct watchdog_state *wd, u64 now)
{
	u64 limit = boot_params.softlockup_thresh_ns;

	if (!limit)
		return 0;
	if (limit >= NSEC_PER_SEC)
		limit = (limit / NSEC_PER_SEC) << WATCHDOG_UNIT_SHIFT;
	return now - wd->touch_ts > limit ? now - wd->touch_ts : 0;
}

static void report_softlockup(struct percpu *pc, u64 duration)
{
	struct watchdog_state *wd = &pc->watchdog;

	if (wd->soft_warned)
		return;
	wd->soft_warned = true;
	report_begin();
	printk("BUG: soft lockup - CPU#%u stuck for %us! [%s:%d]\n", pc->cpu_number,
	       (unsigned int)(duration >> WATCHDOG_UNIT_SHIFT), current->comm, current->pid);
	if (pc->irq_regs)
		show_regs(pc->irq_regs);
	else
		dump_stack();
	report_end();
	if (boot_params.softlockup_panic)
		panic("softlockup: hung tasks");
}

static noinline enum hrtimer_restart watchdog_timer_fn(struct hrtimer *timer)
{
	struct percpu *pc = this_cpu();
	struct watchdog_state *wd = &pc->watchdog;
	u64 now = sched_clock(), duration;

	wd->hrtimer_interrupts++;
	wake_up_process(wd->thread);
	hrtimer_forward(timer, (s64)now, get_sample_period());
	if (wd->touch_ts == 0) {
		__touch_watchdog(wd);
		return HRTIMER_RESTART;
	}
	duration = is_softlockup(wd, now);
	if (unlikely(duration))
		report_softlockup(pc, duration);
	else
		wd->soft_warned = false;
	return HRTIMER_RESTART;
}

static noinline void watchdog(u64 cpu)
{
	struct watchdog_state *wd = &cpu_data(cpu)->watchdog;

	hrtimer_init(&wd->hrtimer, watchdog_timer_fn);
	__touch_watchdog(wd);
	hrtimer_start(&wd->hrtimer, ktime_get() + get_sample_period());
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		__touch_watchdog(wd);
		schedule();
	}
}

void watchdog_init(void)
{
	unsigned int cpu = smp_processor_id();
	struct watchdog_state *wd = &this_cpu()->watchdog;
	char comm[16];

	if (!watchdog_wanted())
		return;
	snprintf(comm, sizeof(comm), "watchdog/%u", cpu);
	wd->thread = kthread_create(watchdog, cpu, cpu, (pid_t)(FIRST_WATCHDOG_PID + 4 * cpu),
				    WATCHDOG_PRIO, comm);
}

void watchdog_enable(void)
{
	if (!watchdog_wanted())
		return;
	if (boot_params.hardlockup_period_cycles)
		perf_event_enable_cpu();
	wake_up_process(this_cpu()->watchdog.thread);
}
