/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The writer side of a read/write semaphore: all that mmap_sem needs here. */
#include "sched.h"

struct rwsem_waiter {
	struct list_head list;
	struct task_struct *task;
};

void init_rwsem(struct rw_semaphore *sem)
{
	atomic_set(&sem->count, 0);
	spin_lock_init(&sem->wait_lock);
	INIT_LIST_HEAD(&sem->wait_list);
}

/* The semaphore is handed over: waiter.task becomes NULL when it is ours. */
static noinline void rwsem_down_write_failed(struct rw_semaphore *sem)
{
	struct rwsem_waiter waiter;

	spin_lock(&sem->wait_lock);
	if (atomic_cmpxchg(&sem->count, 0, 1) == 0) {
		spin_unlock(&sem->wait_lock);
		return;
	}
	waiter.task = current;
	list_add_tail(&waiter.list, &sem->wait_list);
	spin_unlock(&sem->wait_lock);
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (!ACCESS_ONCE(waiter.task))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
}

noinline void down_write(struct rw_semaphore *sem)
{
	might_sleep();
	if (atomic_cmpxchg(&sem->count, 0, 1) != 0)
		rwsem_down_write_failed(sem);
}

noinline void up_write(struct rw_semaphore *sem)
{
	struct rwsem_waiter *waiter;
	struct task_struct *task;

	spin_lock(&sem->wait_lock);
	if (list_empty(&sem->wait_list)) {
		atomic_set(&sem->count, 0);
	} else {
		waiter = list_entry(sem->wait_list.next, struct rwsem_waiter, list);
		task = waiter->task;
		list_del(&waiter->list);
		smp_mb();
		ACCESS_ONCE(waiter->task) = NULL;
		wake_up_process(task);
	}
	spin_unlock(&sem->wait_lock);
}
