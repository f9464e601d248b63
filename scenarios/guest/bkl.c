/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The Big Kernel Lock: recursive by a depth in the task, given up while its
 * holder sleeps. Whoever waits for it spins with interrupts as they were.
 */
#include "kernel.h"
#include "sched.h"

spinlock_t kernel_flag __cacheline_aligned = SPIN_LOCK_UNLOCKED;

noinline void lock_kernel(void)
{
	struct task_struct *task = current;
	int depth = task->lock_depth + 1;

	if (likely(!depth))
		__ticket_spin_lock(&kernel_flag);
	task->lock_depth = depth;
}

noinline void unlock_kernel(void)
{
	struct task_struct *task = current;

	BUG_ON(task->lock_depth < 0);
	if (likely(--task->lock_depth < 0))
		__ticket_spin_unlock(&kernel_flag);
}

/* From schedule(): never queues, so that the task can be switched away again. */
noinline int __reacquire_kernel_lock(void)
{
	while (!__ticket_spin_trylock(&kernel_flag)) {
		if (need_resched())
			return -EAGAIN;
		cpu_relax();
	}
	return 0;
}

noinline void __release_kernel_lock(void)
{
	__ticket_spin_unlock(&kernel_flag);
}
