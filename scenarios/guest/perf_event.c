/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One event on every CPU: unhalted core cycles, by fixed counter 1, with an
 * NMI at overflow. The counter takes at most 2^31-1 cycles at a time, so a
 * long sample period needs many NMIs, of which only the last one counts.
 */
#include "boot_params.h"
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "sched.h"

#define MAX_PERIOD ((s64)((1ull << 31) - 1))
#define COUNTER_MASK ((1ull << 48) - 1)
#define FIXED_CTR1_BIT (1ull << 33)
#define FIXED_CTR1_OS_USR_PMI (0xbull << 4)

/* True once a whole sample period has gone by. */
static noinline bool x86_perf_event_set_period(struct watchdog_state *wd)
{
	s64 period = (s64)boot_params.hardlockup_period_cycles;
	s64 left = wd->period_left;
	bool overflowed = false;

	if (left <= -period) {
		left = period;
		wd->period_left = left;
		overflowed = true;
	}
	if (left <= 0) {
		left += period;
		wd->period_left = left;
		overflowed = true;
	}
	if (left < 2)
		left = 2;
	if (left > MAX_PERIOD)
		left = MAX_PERIOD;
	wd->prev_count = -(u64)left & COUNTER_MASK;
	wrmsrl(MSR_FIXED_CTR1, wd->prev_count);
	return overflowed;
}

static noinline bool intel_pmu_save_and_restart(struct watchdog_state *wd)
{
	u64 now = rdmsrl(MSR_FIXED_CTR1);

	wd->period_left -= (s64)((now - wd->prev_count) & COUNTER_MASK);
	return x86_perf_event_set_period(wd);
}

static noinline void __perf_event_overflow(struct pt_regs *regs)
{
	watchdog_overflow_callback(regs);
}

static noinline void perf_event_overflow(struct pt_regs *regs)
{
	__perf_event_overflow(regs);
}

static void intel_pmu_enable_all(void)
{
	wrmsrl(MSR_PERF_GLOBAL_CTRL, FIXED_CTR1_BIT);
}

/* The local APIC masked the entry when it delivered the NMI: unmask it. */
static noinline int intel_pmu_handle_irq(struct pt_regs *regs)
{
	struct watchdog_state *wd = &this_cpu()->watchdog;
	u64 status;

	apic_write(APIC_LVTPC, APIC_DM_NMI);
	wrmsrl(MSR_PERF_GLOBAL_CTRL, 0);
	status = rdmsrl(MSR_PERF_GLOBAL_STATUS);
	if (!status) {
		intel_pmu_enable_all();
		return 0;
	}
	do {
		wrmsrl(MSR_PERF_GLOBAL_OVF_CTRL, status);
		if ((status & FIXED_CTR1_BIT) && intel_pmu_save_and_restart(wd))
			perf_event_overflow(regs);
		status = rdmsrl(MSR_PERF_GLOBAL_STATUS);
	} while (status);
	intel_pmu_enable_all();
	return 1;
}

static noinline int perf_event_nmi_handler(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;

	(void)nb;
	if (val != DIE_NMI_IPI)
		return NOTIFY_DONE;
	return intel_pmu_handle_irq(args->regs) ? NOTIFY_STOP : NOTIFY_DONE;
}

static struct notifier_block perf_event_nmi_notifier = {
	.notifier_call = perf_event_nmi_handler,
	.priority = 0,
};

/* Once, before any CPU counts. */
void perf_event_init(void)
{
	atomic_notifier_chain_register(&die_chain, &perf_event_nmi_notifier);
}

void perf_event_enable_cpu(void)
{
	struct watchdog_state *wd = &this_cpu()->watchdog;

	wd->period_left = (s64)boot_params.hardlockup_period_cycles;
	x86_perf_event_set_period(wd);
	apic_write(APIC_LVTPC, APIC_DM_NMI);
	wrmsrl(MSR_FIXED_CTR_CTRL, FIXED_CTR1_OS_USR_PMI);
	intel_pmu_enable_all();
}
