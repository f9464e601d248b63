/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clocks: nanoseconds from the TSC, which all CPUs share, and jiffies. */
#include "boot_params.h"
#include "kernel.h"
#include "timer.h"

volatile unsigned long jiffies;
seqlock_t xtime_lock __cacheline_aligned;
s64 last_jiffies_update;

unsigned int HZ __read_mostly;
s64 tick_period __read_mostly;
u64 ns_per_cycle __read_mostly;
u64 apic_ticks_per_ns __read_mostly;

void timekeeping_init(void)
{
	HZ = boot_params.hz;
	tick_period = NSEC_PER_SEC / HZ;
	ns_per_cycle = (1000000ull << TIME_FRACTION) / boot_params.cpu_khz;
	apic_ticks_per_ns = ((u64)boot_params.cpu_khz << TIME_FRACTION) / 1000000ull /
			    boot_params.lapic_tick_cycles;
}

s64 cycles_to_ns(u64 cycles)
{
	return (s64)mul_fraction(cycles, ns_per_cycle);
}

u64 sched_clock(void)
{
	return (u64)ktime_get();
}

unsigned long nsecs_to_jiffies(u64 ns)
{
	return (ns + (u64)tick_period - 1) / (u64)tick_period;
}

unsigned long msecs_to_jiffies(unsigned int ms)
{
	return nsecs_to_jiffies(ms * NSEC_PER_MSEC);
}

/* Busy wait by the clock. */
noinline void ndelay(u64 ns)
{
	s64 end = ktime_get() + (s64)ns;

	while (ktime_get() < end)
		cpu_relax();
}
