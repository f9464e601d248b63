/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One event on every CPU: unhalted core cycles, with an NMI at overflow.
 *
 * Intel: by fixed counter 1. It takes at most 2^31-1 cycles at a time, so a
 * long sample period needs many NMIs, of which only the last one counts.
 *
 * AMD has no fixed counters and no global registers (BIOS and Kernel
 * Developer's Guide for family 10h, performance monitor counters): counter 0
 * counts event 0x76, CPU clocks not halted. All of its 48 bits can be
 * written, so one NMI is enough; whether it was this counter's shows in its
 * highest bit, which is set until it overflows.
 */
#include "boot_params.h"
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "sched.h"

#define COUNTER_BITS 48
#define COUNTER_MASK ((1ull << COUNTER_BITS) - 1)
#define FIXED_CTR1_BIT (1ull << 33)
#define FIXED_CTR1_OS_USR_PMI (0xbull << 4)

#define AMD_CPU_CLOCKS_NOT_HALTED 0x76ull
#define EVENTSEL_USR_OS (3ull << 16)
#define EVENTSEL_INT (1ull << 20)
#define EVENTSEL_ENABLE (1ull << 22)

/* The counter of the event, and how its vendor's CPUs are told to use it. */
struct x86_pmu {
	u32 counter;
	s64 max_period;
	int (*handle_irq)(struct pt_regs *regs);
	void (*enable)(void);
};

static const struct x86_pmu *x86_pmu;

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
	if (left > x86_pmu->max_period)
		left = x86_pmu->max_period;
	wd->prev_count = -(u64)left & COUNTER_MASK;
	wrmsrl(x86_pmu->counter, wd->prev_count);
	return overflowed;
}

static noinline u64 x86_perf_event_update(struct watchdog_state *wd)
{
	u64 now = rdmsrl(x86_pmu->counter);

	wd->period_left -= (s64)((now - wd->prev_count) & COUNTER_MASK);
	wd->prev_count = now;
	return now;
}

static noinline bool intel_pmu_save_and_restart(struct watchdog_state *wd)
{
	x86_perf_event_update(wd);
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

static void intel_pmu_enable(void)
{
	wrmsrl(MSR_FIXED_CTR_CTRL, FIXED_CTR1_OS_USR_PMI);
	intel_pmu_enable_all();
}

static const struct x86_pmu intel_pmu = {
	.counter = MSR_FIXED_CTR1,
	.max_period = (s64)((1ull << 31) - 1),
	.handle_irq = intel_pmu_handle_irq,
	.enable = intel_pmu_enable,
};

static noinline int amd_pmu_handle_irq(struct pt_regs *regs)
{
	struct watchdog_state *wd = &this_cpu()->watchdog;

	apic_write(APIC_LVTPC, APIC_DM_NMI);
	if (x86_perf_event_update(wd) >> (COUNTER_BITS - 1))
		return 0; /* still on its way up */
	if (x86_perf_event_set_period(wd))
		perf_event_overflow(regs);
	return 1;
}

static void amd_pmu_enable(void)
{
	wrmsrl(MSR_K7_EVNTSEL0, AMD_CPU_CLOCKS_NOT_HALTED | EVENTSEL_USR_OS | EVENTSEL_INT |
					EVENTSEL_ENABLE);
}

static const struct x86_pmu amd_pmu = {
	.counter = MSR_K7_PERFCTR0,
	.max_period = (s64)((1ull << (COUNTER_BITS - 1)) - 1),
	.handle_irq = amd_pmu_handle_irq,
	.enable = amd_pmu_enable,
};

static noinline int perf_event_nmi_handler(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;

	(void)nb;
	if (val != DIE_NMI_IPI)
		return NOTIFY_DONE;
	return x86_pmu->handle_irq(args->regs) ? NOTIFY_STOP : NOTIFY_DONE;
}

static struct notifier_block perf_event_nmi_notifier = {
	.notifier_call = perf_event_nmi_handler,
	.priority = 0,
};

/* Once, before any CPU counts. */
void perf_event_init(void)
{
	x86_pmu = cpu_vendor_amd() ? &amd_pmu : &intel_pmu;
	atomic_notifier_chain_register(&die_chain, &perf_event_nmi_notifier);
}

void perf_event_enable_cpu(void)
{
	struct watchdog_state *wd = &this_cpu()->watchdog;

	wd->period_left = (s64)boot_params.hardlockup_period_cycles;
	x86_perf_event_set_period(wd);
	apic_write(APIC_LVTPC, APIC_DM_NMI);
	x86_pmu->enable();
}
