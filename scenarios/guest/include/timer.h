/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* jiffies, the timer wheel, high-resolution timers and the tick. */
#ifndef GUEST_TIMER_H
#define GUEST_TIMER_H

#include "list.h"
#include "ptrace.h"
#include "spinlock.h"

#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define MAX_SCHEDULE_TIMEOUT ((long)(~0ul >> 1))
#define KTIME_MAX ((s64)(~0ull >> 1))
#define MAX_JIFFY_OFFSET ((~0ul >> 1) - 1)

#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define time_before(a, b) time_after(b, a)

extern volatile unsigned long jiffies;
extern seqlock_t xtime_lock;
extern unsigned int HZ;
extern s64 tick_period; /* ns */
extern s64 last_jiffies_update;

/* Factors of time.c, fixed-point with 40 binary digits behind the point. */
#define TIME_FRACTION 40
extern u64 ns_per_cycle, apic_ticks_per_ns;

static inline u64 mul_fraction(u64 v, u64 factor)
{
	return (u64)(((unsigned __int128)v * factor) >> TIME_FRACTION);
}

/* Nanoseconds since the machine started, from the TSC. */
static inline s64 ktime_get(void)
{
	return (s64)mul_fraction(rdtsc(), ns_per_cycle);
}

u64 sched_clock(void);
s64 cycles_to_ns(u64 cycles);
void timekeeping_init(void);
unsigned long nsecs_to_jiffies(u64 ns);
unsigned long msecs_to_jiffies(unsigned int ms);

/* Rounded up, so that the timer never fires before its time. */
static inline u32 ns_to_apic_ticks(s64 delta_ns)
{
	u64 ticks = mul_fraction((u64)delta_ns, apic_ticks_per_ns) + 1;

	return ticks > ~0u ? ~0u : (u32)ticks;
}

void ndelay(u64 ns);

struct timer_list {
	struct list_head entry;
	unsigned long expires;
	void (*function)(unsigned long);
	unsigned long data;
	struct tvec_base *base;
};

void init_timers_cpu(int cpu);
void setup_timer_on_stack(struct timer_list *t, void (*fn)(unsigned long), unsigned long data);
int __mod_timer(struct timer_list *timer, unsigned long expires);
int del_timer(struct timer_list *timer);
int del_singleshot_timer_sync(struct timer_list *timer);
unsigned long get_next_timer_interrupt(unsigned long now);
void run_timer_softirq(void);

long schedule_timeout(long timeout);
long schedule_timeout_interruptible(long timeout);
long schedule_timeout_uninterruptible(long timeout);
void msleep(unsigned int ms);
#define ssleep(s) msleep((s) * 1000)

enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };

struct hrtimer {
	struct list_head node;
	s64 expires; /* ns, absolute */
	enum hrtimer_restart (*function)(struct hrtimer *);
	bool active;
};

/*
 * The list ascends and ends in a timer that never expires. There is no lock:
 * tasks stay on their CPU, so that only this CPU, with interrupts off, is
 * ever here.
 */
struct hrtimer_cpu_base {
	s64 now;           /* when the interrupt began */
	s64 expires_next;  /* what the LAPIC is programmed for */
	bool in_interrupt; /* the interrupt reprograms when it is done */
	struct hrtimer sentinel;
};

void hrtimers_init_cpu(int cpu);
void hrtimer_init(struct hrtimer *timer, enum hrtimer_restart (*fn)(struct hrtimer *));
void hrtimer_start(struct hrtimer *timer, s64 expires);
void hrtimer_cancel(struct hrtimer *timer);

void hrtimer_interrupt(void);

/* Moves the expiry by whole intervals beyond @now. */
static inline void hrtimer_forward(struct hrtimer *timer, s64 now, s64 interval)
{
	s64 delta = now - timer->expires;

	timer->expires += interval;
	if (unlikely(delta >= interval))
		timer->expires += delta / interval * interval;
}

long hrtimer_nanosleep(s64 ns);

struct tick_sched {
	struct hrtimer sched_timer;
	s64 idle_tick; /* where the tick was stopped: keeps its phase */
	bool tick_stopped;
	bool inidle;
};

void tick_setup_sched_timer(void);
void tick_nohz_stop_sched_tick(bool inidle);
void tick_nohz_restart_sched_tick(void);
void tick_check_idle(void);

#endif
