/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Kernel messages: kept in a ring and written to the debug console. */
#include "kernel.h"
#include "processor.h"
#include "sched.h"
#include "spinlock.h"

#define DEBUG_CONSOLE_PORT 0xe9
#define LOG_BUF_LEN 16384
#define PANIC_LOCK_SPINS 100000

char __log_buf[LOG_BUF_LEN];
unsigned long log_end; /* bytes ever written; the ring holds the last of them */
int oops_in_progress;

static spinlock_t logbuf_lock;
static char printk_buf[1024];

void console_write(const char *s, size_t n)
{
	for (; n; n--)
		outb((u8)*s++, DEBUG_CONSOLE_PORT);
}

/*
 * A dying system may have been stopped inside of printk(): then the message
 * goes out without the lock after a while.
 */
static bool logbuf_acquire(unsigned long *flags)
{
	int spins;

	if (!oops_in_progress) {
		spin_lock_irqsave(&logbuf_lock, *flags);
		return true;
	}
	*flags = local_irq_save();
	for (spins = 0; spins < PANIC_LOCK_SPINS; spins++) {
		if (spin_trylock(&logbuf_lock))
			return true;
		cpu_relax();
	}
	return false;
}

noinline int printk(const char *fmt, ...)
{
	__builtin_va_list args;
	unsigned long flags;
	size_t i, n;
	bool locked = logbuf_acquire(&flags);

	__builtin_va_start(args, fmt);
	n = (size_t)vsnprintf(printk_buf, sizeof(printk_buf), fmt, args);
	__builtin_va_end(args);
	if (n >= sizeof(printk_buf))
		n = sizeof(printk_buf) - 1;
	for (i = 0; i < n; i++)
		__log_buf[log_end++ % LOG_BUF_LEN] = printk_buf[i];
	console_write(printk_buf, n);
	if (locked)
		spin_unlock_irqrestore(&logbuf_lock, flags);
	else
		local_irq_restore(flags);
	return (int)n;
}

/*
 * The CPU that reports, plus one; 0: none. A CPU that is about to die waits
 * for a while only.
 */
static atomic_t report_owner;
static int report_depth;

void report_begin(void)
{
	int self = (int)smp_processor_id() + 1;
	int spins = 0;

	while (atomic_read(&report_owner) != self &&
	       atomic_cmpxchg(&report_owner, 0, self) != 0) {
		if (oops_in_progress && ++spins > PANIC_LOCK_SPINS)
			return;
		cpu_relax();
	}
	report_depth++;
}

void report_end(void)
{
	if (atomic_read(&report_owner) == (int)smp_processor_id() + 1 && --report_depth == 0)
		atomic_set(&report_owner, 0);
}

void bust_spinlocks(int yes)
{
	oops_in_progress += yes ? 1 : -1;
}
